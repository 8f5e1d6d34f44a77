//! What an ordeal came to, as one row of the table that `make torture` ends with.
//!
//! Rows of all tests go to the file that `SEALIFT_SCORES` names, tabs between the columns; without
//! it they are only printed. `tests/daemon/end_to_end` shares this file.

use std::io::Write as _;

/// One row: how often something was done to a store, and what came of it.
#[derive(Debug, Default, Clone)]
pub struct Score {
    pub what: String,
    pub times: usize,
    /// Entries, or job ids, that somebody had been told were safe.
    pub acknowledged: usize,
    /// It opened with all of it.
    pub sound: usize,
    /// It opened with all of it after the queue was rebuilt, and said so.
    pub rebuilt: usize,
    /// It was not opened, or not read to the end, and said why.
    pub refused: usize,
    /// What was told was not there, or another state was shown, each with its story.
    pub wrong: Vec<String>,
}

impl Score {
    pub fn of(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// Writes the row down, then fails if anything went wrong.
    pub fn settle(self) {
        Self::settle_all(&[self]);
    }

    /// Writes all rows down, then fails if anything went wrong in one of them.
    pub fn settle_all(scores: &[Self]) {
        scores.iter().for_each(Self::write);
        let wrong: Vec<String> = scores
            .iter()
            .flat_map(|score| score.wrong.iter().map(|story| format!("{}: {story}", score.what)))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn write(&self) {
        let Self { what, times, acknowledged, sound, rebuilt, refused, wrong } = self;
        let row = format!(
            "{what}\t{times}\t{acknowledged}\t{sound}\t{rebuilt}\t{refused}\t{}\n",
            wrong.len()
        );
        print!("{row}");
        if let Some(path) = std::env::var_os("SEALIFT_SCORES") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(row.as_bytes()))
                .expect("the table can be written");
        }
    }
}
