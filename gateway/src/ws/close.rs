//! The table of close codes.
//!
//! Owns why the gateway closes a socket, and the number and sentence each reason has on the wire. Promises that 4000 to
//! 4499 invite the browser back and 4500 to 4999 do not. Never closes anything.

/// Why the gateway closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The browser closed in order.
    Normal,
    /// A frame broke RFC 6455.
    Protocol,
    /// A text that is not UTF-8.
    NotUtf8,
    /// The gateway drains, or has lost the room service: come back.
    GoingAway,
    /// The socket took nothing for too long, or a plain reader fell too far behind: come back and resume.
    SlowConsumer,
    /// No sign of life for too long.
    HeartbeatLost,
    /// The dialect was broken: another version, a second hello.
    ProtocolMisuse,
    /// The credentials are refused.
    Unauthenticated,
    /// A frame is larger than the limit.
    TooLarge,
    /// Too many faulty frames in a row.
    TooManyErrors,
}

impl Close {
    /// Every reason, in the order of the documents.
    pub const ALL: [Self; 10] = [
        Self::Normal,
        Self::Protocol,
        Self::NotUtf8,
        Self::GoingAway,
        Self::SlowConsumer,
        Self::HeartbeatLost,
        Self::ProtocolMisuse,
        Self::Unauthenticated,
        Self::TooLarge,
        Self::TooManyErrors,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::NotUtf8 => 1007,
            Self::GoingAway => 4000,
            Self::SlowConsumer => 4001,
            Self::HeartbeatLost => 4002,
            Self::ProtocolMisuse => 4500,
            Self::Unauthenticated => 4501,
            Self::TooLarge => 4502,
            Self::TooManyErrors => 4503,
        }
    }

    /// The reason on the wire: stable, and short enough for a control frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "PROTOCOL_ERROR",
            Self::NotUtf8 => "INVALID_UTF8",
            Self::GoingAway => "GOING_AWAY",
            Self::SlowConsumer => "SLOW_CONSUMER",
            Self::HeartbeatLost => "HEARTBEAT_LOST",
            Self::ProtocolMisuse => "PROTOCOL_MISUSE",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::TooLarge => "FRAME_TOO_LARGE",
            Self::TooManyErrors => "TOO_MANY_ERRORS",
        }
    }

    /// Whether what the browser had sent may still lie unread, so that ending the connection at once would destroy the
    /// close frame on its way.
    pub const fn leaves_input(self) -> bool {
        matches!(self, Self::Protocol | Self::NotUtf8 | Self::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons_are_distinct_and_fit_a_control_frame() {
        let codes: std::collections::HashSet<_> = Close::ALL.iter().map(|close| close.code()).collect();
        assert_eq!(codes.len(), Close::ALL.len());
        assert!(Close::ALL.iter().all(|close| close.reason().len() <= 123));
    }
}
