//! Settings.
//!
//! Owns how a table of settings becomes flags and `PARLOUR_*` variables, and is the one reader of both. Promises that
//! all mistakes are reported together, that secrets are never shown, and that variables nobody knows are named. Never
//! knows what a setting means.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, fs,
    io::Write as _,
    process::ExitCode,
};

mod parse;
mod secret;
mod setting;

pub use parse::{address, list, per_second, seconds, whole};
pub use secret::Secret;
pub use setting::Setting;

/// What every variable's name begins with.
const PREFIX: &str = "PARLOUR_";
/// What ends the name of a variable that names the file of a secret.
const FILE: &str = "_FILE";
/// The exit status of a process whose settings are wrong.
const BAD_SETTINGS: u8 = 2;

/// All mistakes found in the settings, each a sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl Mistakes {
    /// Says all of them on standard error; returns the exit status of bad settings.
    pub fn report(&self) -> ExitCode {
        let text: String = self.0.iter().map(|mistake| format!("error: {mistake}\n")).collect();
        // Where standard error is closed, nobody is left to be told.
        drop(std::io::stderr().write_all(text.as_bytes()));
        ExitCode::from(BAD_SETTINGS)
    }
}

/// A value as it was given, and what gave it.
#[derive(Clone, Debug)]
struct Given {
    by: String,
    text: Secret,
}

/// The settings as given: read one by one, then closed by `finish`.
#[derive(Debug)]
pub struct Source {
    table: BTreeMap<&'static str, Setting>,
    given: BTreeMap<&'static str, Given>,
    mistakes: Vec<String>,
    warnings: Vec<String>,
}

impl Source {
    /// Reads this process' flags and variables. Of a setting that stands in several tables the first holds. `others`
    /// name settings of another process, which may stand in the same environment.
    ///
    /// `--help`, `--version` and a flag that nobody knows end the process here, as clap does it.
    pub fn of_process(command: clap::Command, tables: &[&[Setting]], others: &[&str]) -> Self {
        Self::read(command, tables, others, std::env::args_os(), std::env::vars_os())
            .unwrap_or_else(|error| error.exit())
    }

    /// Reads the flags and variables given; the first of `args` is the program's name. A flag precedes a variable; a
    /// variable that is empty counts as not set.
    ///
    /// # Errors
    /// The flags are not understood, or ask for help.
    pub fn read(
        mut command: clap::Command,
        tables: &[&[Setting]],
        others: &[&str],
        args: impl IntoIterator<Item = OsString>,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, clap::Error> {
        let mut table = BTreeMap::new();
        for setting in tables.iter().copied().flatten() {
            if !table.contains_key(setting.name) {
                command = command.args(setting.args());
                table.insert(setting.name, *setting);
            }
        }
        let matches = command.try_get_matches_from(args)?;
        let mut source = Self { table, given: BTreeMap::new(), mistakes: Vec::new(), warnings: Vec::new() };
        source.take_variables(others, vars);
        source.take_flags(&matches);
        Ok(source)
    }

    /// Reads a setting that has a default.
    ///
    /// # Panics
    /// The table has no such setting, or its default does not parse: a test of the table finds out.
    pub fn required<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        if let Some(value) = self.optional(name, &parse) {
            return value;
        }
        let default = self.table[name].default.expect("a required setting has a default");
        parse(default).expect("a default parses")
    }

    /// Reads a setting that may be absent; also `None` where it was not understood, which `finish` then says.
    pub fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        assert!(self.table.contains_key(name), "no setting {name}");
        let Given { by, text } = self.given.get(name)?;
        match parse(text.expose()) {
            Ok(value) => Some(value),
            Err(reason) if self.table[name].is_secret => self.mistake(format!("{by}: {reason}")),
            Err(reason) => self.mistake(format!("{by}: `{}`: {reason}", text.expose())),
        }
    }

    /// Notes a mistake that lies in several settings together.
    pub fn refuse(&mut self, sentence: impl Into<String>) {
        self.mistake::<()>(sentence.into());
    }

    /// Ends the reading; returns the warnings.
    ///
    /// # Errors
    /// All mistakes found, each once.
    pub fn finish(self) -> Result<Vec<String>, Mistakes> {
        if self.mistakes.is_empty() { Ok(self.warnings) } else { Err(Mistakes(self.mistakes)) }
    }

    fn mistake<T>(&mut self, sentence: String) -> Option<T> {
        // Two services may read the same setting.
        if !self.mistakes.contains(&sentence) {
            self.mistakes.push(sentence);
        }
        None
    }

    fn take_variables(&mut self, others: &[&str], vars: impl IntoIterator<Item = (OsString, OsString)>) {
        let ours = vars.into_iter().filter(|(name, value)| is_ours(name) && !value.is_empty());
        let ours: BTreeMap<String, OsString> =
            ours.map(|(name, value)| (name.to_string_lossy().into_owned(), value)).collect();
        for (variable, value) in ours {
            let name = variable.strip_prefix(PREFIX).expect("only ours were kept");
            let secret = name.strip_suffix(FILE);
            if let Some(setting) = self.table.get(name) {
                self.take(setting.name, variable, value);
            } else if let Some(setting) = secret.and_then(|name| self.secret(name)) {
                self.take_file(setting.name, variable, &value);
            } else if !others.iter().any(|other| *other == name || Some(*other) == secret) {
                self.warnings.push(format!("the variable {variable} is no setting: ignored"));
            }
        }
    }

    fn take_flags(&mut self, matches: &clap::ArgMatches) {
        // What a flag says replaces what a variable said; a secret and its file still contradict each other.
        let variables = std::mem::take(&mut self.given);
        for setting in self.table.values().copied().collect::<Vec<_>>() {
            if let Some(value) = matches.get_one::<OsString>(setting.name) {
                self.take(setting.name, format!("--{}", setting.flag()), value.clone());
            }
            if setting.is_secret
                && let Some(path) = matches.get_one::<OsString>(&setting.file_id())
            {
                self.take_file(setting.name, format!("--{}-file", setting.flag()), path);
            }
        }
        for (name, given) in variables {
            self.given.entry(name).or_insert(given);
        }
    }

    fn secret(&self, name: &str) -> Option<Setting> {
        self.table.get(name).filter(|setting| setting.is_secret).copied()
    }

    fn take(&mut self, name: &'static str, by: String, value: OsString) {
        let Ok(text) = value.into_string() else {
            self.refuse(format!("{by} is not valid UTF-8"));
            return;
        };
        if let Some(Given { by: other, .. }) = self.given.get(name) {
            self.refuse(format!("{other} and {by} are both given: give one"));
        } else {
            self.given.insert(name, Given { by, text: Secret::new(text) });
        }
    }

    fn take_file(&mut self, name: &'static str, by: String, path: &OsStr) {
        match fs::read_to_string(path) {
            // Editors and secret stores end a file with a newline that is no part of the secret.
            Ok(text) => self.take(name, by, text.trim_end_matches(['\r', '\n']).into()),
            Err(error) => self.refuse(format!("{by}: cannot read {}: {error}", path.display())),
        }
    }
}

fn is_ours(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(PREFIX)
}

#[cfg(test)]
mod tests;
