//! How much may be in a queue.

/// How much may be in a queue; 0: as much as the server has memory for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many messages.
    pub messages: u64,
    /// How many bytes of them, their kinds not counted. A message of more may be in the queue alone.
    pub bytes: u64,
}

impl Limits {
    /// At most so many messages; 0: no limit.
    #[must_use]
    pub fn of(messages: u64) -> Limits {
        Limits { messages, bytes: 0 }
    }

    pub(super) fn are_none(self) -> bool {
        self == Limits::default()
    }

    /// What a get says about who waits for room.
    pub(super) fn whom_to_wake(self) -> &'static str {
        match (self.messages, self.bytes) {
            (0, 0) => "",
            (_, 0) => "n",
            _ => "b",
        }
    }
}
