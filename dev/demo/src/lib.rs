//! Sends real flight legs through a platform and reports what came of them.
