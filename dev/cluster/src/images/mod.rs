//! Images from what is on this machine: no registry is asked for a base.
//!
//! A root file system is staged (a program, the shared libraries it needs, a few files), and a Containerfile turns
//! it into an image. What goes into an image decides its tag, so an image that exists is never built again.

mod backing;
mod builder;
mod product;
mod rootfs;

pub use backing::{BackingImages, backing};
pub(crate) use builder::Archive;
pub use builder::Builder;
pub use product::{ProductImages, WORKLOADS, product};
pub(crate) use rootfs::NONROOT;
