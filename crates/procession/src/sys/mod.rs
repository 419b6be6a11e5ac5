//! The operating system. Every system call is made here and nowhere else, so that a port
//! to another system is the work of one folder.

#[cfg(not(target_endian = "little"))]
compile_error!("the arena's layout is little-endian");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("an arena is far larger than 32-bit addresses reach");

pub(crate) mod atomic;
pub(crate) mod fault;

#[cfg(not(loom))]
pub(crate) mod bell;
#[cfg(not(loom))]
pub(crate) mod child;
#[cfg(not(loom))]
pub(crate) mod clock;
#[cfg(not(loom))]
pub(crate) mod exit;
#[cfg(not(loom))]
pub(crate) mod file;
#[cfg(not(loom))]
pub(crate) mod find;
#[cfg(not(loom))]
pub(crate) mod fork;
#[cfg(not(loom))]
pub(crate) mod futex;
#[cfg(not(loom))]
pub(crate) mod image;
#[cfg(not(loom))]
pub(crate) mod limits;
#[cfg(not(loom))]
pub(crate) mod memory;
#[cfg(all(any(feature = "async", feature = "redis"), not(loom)))]
pub(crate) mod per_process;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) mod poller;
#[cfg(not(loom))]
pub(crate) mod process;
#[cfg(all(feature = "redis", not(loom)))]
pub(crate) mod published;
#[cfg(not(loom))]
pub(crate) mod readable;
#[cfg(not(loom))]
pub(crate) mod socket;
#[cfg(not(loom))]
pub(crate) mod spawn;
#[cfg(not(loom))]
pub(crate) mod thread;
