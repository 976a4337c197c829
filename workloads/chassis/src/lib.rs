//! What every logistics service shares: configuration, telemetry, identity, storage, events.
