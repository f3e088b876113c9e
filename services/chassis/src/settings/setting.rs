//! One setting.
//!
//! Owns its name, help and default, and the flag and variable they make. Promises that `--help` shows all of them. Never
//! reads a value.

use clap::{Arg, ArgAction, builder::OsStringValueParser};

use super::{FILE, PREFIX};

/// A setting: `FRAME_BYTES` is the flag `--frame-bytes` and the variable `PARLOUR_FRAME_BYTES`.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    pub(super) default: Option<&'static str>,
    pub(super) is_secret: bool,
}

impl Setting {
    /// Makes one: its name, what its value is or is counted in (`BYTES`, `URL`), and a sentence.
    pub const fn new(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value, help, default: None, is_secret: false }
    }

    /// Gives it a default.
    pub const fn or(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Makes it a secret: also read from a file, never shown.
    pub const fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// Its name, without the prefix of variables.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    pub(super) fn file_id(&self) -> String {
        format!("{}{FILE}", self.name)
    }

    /// The flags: one, and for a secret another that names a file.
    pub(super) fn args(&self) -> Vec<Arg> {
        let default = self.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
        let help = format!("{} [env: {PREFIX}{}]{default}", self.help, self.name);
        let mut args = vec![arg(self.name.to_owned(), self.flag(), self.value, help)];
        if self.is_secret {
            let help = format!("The same, from a file [env: {PREFIX}{}]", self.file_id());
            args.push(arg(self.file_id(), format!("{}-file", self.flag()), "PATH", help));
        }
        args
    }
}

fn arg(id: String, flag: String, value: &'static str, help: String) -> Arg {
    Arg::new(id)
        .long(flag)
        .value_name(value)
        .help(help)
        .value_parser(OsStringValueParser::new())
        .allow_negative_numbers(true)
        .action(ArgAction::Set)
}
