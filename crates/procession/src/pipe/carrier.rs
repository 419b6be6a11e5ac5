//! A connection as whatever carries messages.

use std::time::Instant;

use super::raw::{RawConnection, TrySendError};
use crate::arena::block::Block;
use crate::arena::family::Family;
use crate::channel::Received;
use crate::channel::carrier::{Carrier, Refused};
use crate::error::ArenaError;
use crate::wait::Wait;

impl Carrier for RawConnection {
    #[inline]
    fn family(&self) -> Family {
        self.family()
    }

    #[inline]
    fn offer(&self, kind: u8, inline: &[u8], block: Option<Block>) -> Result<(), Refused> {
        self.try_send(kind, inline, block).map_err(|e| match e {
            TrySendError::Full(block) => Refused::Full(block),
            TrySendError::Broken(block) => Refused::Over(block),
            TrySendError::Arena(e, block) => Refused::Arena(e, block),
        })
    }

    fn await_room(&self, inline: usize, block: Option<usize>, deadline: Option<Instant>) -> Wait {
        self.wait_for_room(inline, block, deadline)
    }

    #[inline]
    fn take(&self, inline: &mut Vec<u8>) -> Result<Option<Received>, ArenaError> {
        self.try_recv(inline)
    }

    fn await_message(&self, deadline: Option<Instant>) -> Wait {
        self.wait_for_message(deadline)
    }

    #[inline]
    fn is_over(&self) -> Result<bool, ArenaError> {
        Ok(self.knows_of_hang_up())
    }

    fn turns_out_over(&self) -> bool {
        self.is_hung_up()
    }
}
