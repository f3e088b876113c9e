//! Known mistakes, for those who judge the judges.
//!
//! Owns which mistake is made, if any. Promises that without the cargo feature `planted-mistakes` there is none, and
//! nothing of this is left in what is built. Never makes one: each stands where it would be made.

/// A mistake that a simulation, or a checker of a running installation, must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An event is seen before it is committed.
    PublishBeforeCommit,
    /// A page begins one event too late.
    PageCutOffByOne,
    /// A repeat is not looked up.
    NoLookUpOfRepeats,
    /// What does not fit counts as given.
    PositionAdvancedOnADrop,
    /// A gateway that attaches again goes on from the head.
    ReattachFromTheHead,
    /// The next seq is taken for the next event, whatever it follows.
    NextIsOnlyASeq,
    /// A cursor is judged by what this hop has, not by the log.
    JudgeByThisHopAlone,
    /// What waits in a relay's outbox goes after what its rooms have.
    OutboxBesideTheRing,
    /// A difference of presence reaches only whoever has seen the one before.
    DiffsOnlyToTheLive,
    /// An older stream's end ends what a newer one holds.
    LateStreamActs,
    /// A roster does not name those who are closing.
    RosterWithoutTheClosing,
    /// `joined` is said before the joiner's own presence.
    JoinedBeforeItsPresence,
    /// A session's sends go on the link all at once.
    Pipelining,
    /// A replica never says that it knows everybody now.
    SettlingNeverEnds,
    /// A replica that does not know everybody yet takes people away.
    TakenAwayWhileSettling,
    /// What a session is told of presence is never paid for.
    PresenceUnpaid,
    /// A page is asked for though all rooms' pages leave no room for it.
    PageWithoutRoom,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::PublishBeforeCommit,
        Self::PageCutOffByOne,
        Self::NoLookUpOfRepeats,
        Self::PositionAdvancedOnADrop,
        Self::ReattachFromTheHead,
        Self::NextIsOnlyASeq,
        Self::JudgeByThisHopAlone,
        Self::OutboxBesideTheRing,
        Self::DiffsOnlyToTheLive,
        Self::LateStreamActs,
        Self::RosterWithoutTheClosing,
        Self::JoinedBeforeItsPresence,
        Self::Pipelining,
        Self::SettlingNeverEnds,
        Self::TakenAwayWhileSettling,
        Self::PresenceUnpaid,
        Self::PageWithoutRoom,
    ];

    /// Its name on a command line.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The mistake of that name.
    ///
    /// # Errors
    /// A sentence that names them all.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|mistake| mistake.name() == name);
        found.ok_or_else(|| format!("expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What is added to the version of a build in which mistakes can be made; else nothing.
pub const SUFFIX: &str = if cfg!(feature = "planted-mistakes") { " with planted mistakes" } else { "" };

/// A version as it is shown, with what is to be known of the build.
pub fn version(version: &str) -> String {
    format!("{version}{SUFFIX}")
}

/// What is to be said at the start of a process in which mistakes can be made.
pub fn warning() -> Option<String> {
    cfg!(feature = "planted-mistakes").then(|| {
        "this build makes mistakes on purpose, to be found by those who look: never serve with it".to_owned()
    })
}

#[cfg(feature = "planted-mistakes")]
static MADE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(u8::MAX);

/// From now on that mistake is made, in the whole process, or none.
#[cfg(feature = "planted-mistakes")]
pub fn make(mistake: Option<Mistake>) {
    MADE.store(mistake.map_or(u8::MAX, |mistake| mistake as u8), std::sync::atomic::Ordering::Relaxed);
}

/// Whether that mistake is made.
#[cfg(feature = "planted-mistakes")]
pub fn makes(mistake: Mistake) -> bool {
    MADE.load(std::sync::atomic::Ordering::Relaxed) == mistake as u8
}

/// Whether that mistake is made: it is not.
#[cfg(not(feature = "planted-mistakes"))]
pub const fn makes(_: Mistake) -> bool {
    false
}
