//! Memory that a family of processes shares, and who owns what in it.

pub(crate) mod layout;

pub(crate) mod backing;
pub(crate) mod bells;
pub(crate) mod block;
pub(crate) mod blocks;
pub(crate) mod bytes;
pub(crate) mod cell;
pub(crate) mod check;
pub(crate) mod companion;
pub(crate) mod directory;
pub(crate) mod doorbell;
pub(crate) mod estate;
pub(crate) mod family;
pub(crate) mod fork;
pub(crate) mod holds;
pub(crate) mod lease;
pub(crate) mod listeners;
pub(crate) mod map;
pub(crate) mod meeting;
pub(crate) mod objects;
pub(crate) mod participants;
pub(crate) mod pin;
pub(crate) mod recent;
pub(crate) mod redo;
pub(crate) mod runs;
pub(crate) mod segments;
pub(crate) mod stock;
pub(crate) mod sweep;
pub(crate) mod waiting;
