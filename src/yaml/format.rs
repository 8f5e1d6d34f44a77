//! Checks of single texts: each has a name that the JSON Schema carries as `format`, and one
//! function that the tree check runs and the typed reader shares.

/// What is wrong with one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong; the key is named by whoever shows it.
    pub message: String,
    pub help: Option<String>,
    /// What to write instead.
    pub replacement: Option<String>,
    /// The text may hold a secret and is not shown.
    pub secret: bool,
}

impl Complaint {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, replacement: None, secret: false }
    }

    /// With the next step.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// About a text that may hold a secret.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// With a text to write instead.
    pub fn replace(mut self, replacement: impl Into<String>) -> Self {
        self.replacement = Some(replacement.into());
        self
    }
}

/// A check of a text.
pub type Check = fn(&str) -> Result<(), Complaint>;

/// A check with its name.
pub type TextFormat = (&'static str, Check);

/// The check of a type that reads itself from text and complains in our form.
pub fn of<T: std::str::FromStr<Err = Complaint>>(text: &str) -> Result<(), Complaint> {
    text.parse::<T>().map(drop)
}

/// The check of a type whose error is a sentence.
pub fn saying<T>(text: &str) -> Result<(), Complaint>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse::<T>()
        .map(drop)
        .map_err(|error| Complaint::new(super::quote::plain(&error.to_string())))
}
