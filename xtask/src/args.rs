//! A task's command line: flags, options with a value, and what is left.
//!
//! Enough for tasks and no more: `--name value` and `--name=value`, in any order; what a task did not ask for is an
//! error, so that a mistyped option is never ignored.

use crate::Result;

/// The words after the task's name, taken out one by one by the task.
pub(crate) struct Args {
    words: Vec<String>,
    /// What stood behind `--`.
    trailing: Vec<String>,
}

impl Args {
    pub(crate) fn new(mut words: Vec<String>) -> Args {
        let trailing = match words.iter().position(|word| word == "--") {
            Some(at) => words.split_off(at).split_off(1),
            None => Vec::new(),
        };
        Args { words, trailing }
    }

    /// Takes the flag; says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() != before
    }

    /// Takes an option and its value; the last one given counts.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let mut found = None;
        while let Some(at) = self.words.iter().position(|word| is_option(word, name)) {
            let word = self.words.remove(at);
            found = Some(match word.split_once('=') {
                Some((_, value)) => value.to_owned(),
                None if at < self.words.len() => self.words.remove(at),
                None => return Err(format!("{name} needs a value").into()),
            });
        }
        Ok(found)
    }

    /// Takes an option whose value is a list with commas; empty when it was not given.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>> {
        let value = self.value(name)?.unwrap_or_default();
        Ok(value.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    /// Takes an option whose value is a number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        Ok(Some(value.parse().map_err(|_| format!("{name} needs a number, not `{value}`"))?))
    }

    /// Takes `--format json`; says whether it was there.
    pub(crate) fn json(&mut self) -> Result<bool> {
        match self.value("--format")?.as_deref() {
            None | Some("table") => Ok(false),
            Some("json") => Ok(true),
            Some(other) => Err(format!("--format is `table` or `json`, not `{other}`").into()),
        }
    }

    /// Ends parsing: anything left over is an error, except what stood behind `--`, which is returned.
    pub(crate) fn finish(self) -> Result<Vec<String>> {
        match self.words.first() {
            Some(word) => Err(format!("unknown argument `{word}` (see --help)").into()),
            None => Ok(self.trailing),
        }
    }
}

fn is_option(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn args(text: &str) -> Args {
        Args::new(text.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn takes_flags_values_and_trailing_words() {
        let mut args = args("--sample --only=a,b --jobs 3 -- --test-threads 1");
        assert!(args.flag("--sample"));
        assert!(!args.flag("--sample"));
        assert_eq!(args.list("--only").unwrap(), ["a", "b"]);
        assert_eq!(args.number("--jobs").unwrap(), Some(3));
        assert_eq!(args.finish().unwrap(), ["--test-threads", "1"]);
    }

    #[test]
    fn refuses_what_no_task_asked_for() {
        assert!(args("--smaple").finish().is_err());
        assert!(args("--jobs").number("--jobs").is_err());
        assert!(args("--jobs many").number("--jobs").is_err());
        assert!(args("--format yaml").json().is_err());
    }
}
