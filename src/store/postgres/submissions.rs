//! A submission's bytes: uploaded once, and fetched once by every other daemon, into a folder of
//! this machine.
//!
//! Invariants: all bytes are in the database before a journal entry names them; a copy is named only
//! when it is whole, and checked by its digest before it is read. What was uploaded and then refused
//! stays there, where nothing names it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::types::Type;

use super::PostgresStore;
use super::barrier::Unsettled;
use super::fault::DatabaseFault;
use super::shared::{JournalPlace, PostgresShared};
use super::writer::WorkAnswer;
use crate::domain::id::Digest;
use crate::store::failpoint::Failpoint;
use crate::store::open::new_rollout;
use crate::store::pending::NewRollout;
use crate::store::replica::{AcceptedWork, RefusedWork, SharedWork, StoredUpload};
use crate::store::submission::{StoredSubmission, path, write};
use crate::store::targets::{Fingerprints, FrozenTargets as _};
use crate::store::{CommitError, Submission, SubmitError, Submitted, Unavailable};

/// Bytes of one block.
const BLOCK: usize = 256 << 10;

/// Tells temporary names of one process apart.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// What a failed step on this machine's copy means.
fn local(what: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Unavailable {
    let what = format!("cannot {what} {}", path.display());
    move |error| Unavailable(format!("{what}: {error}"))
}

impl PostgresShared {
    /// The folder with copies of what was submitted.
    pub(super) fn copies(&self) -> PathBuf {
        self.options.folder.join("submissions")
    }

    /// What these submissions bring, their proxies too; each is fetched if it is not here.
    pub(super) async fn fetch(
        &self,
        digests: &[Digest],
    ) -> Result<BTreeMap<Digest, NewRollout>, Unavailable> {
        let mut fetched = BTreeMap::new();
        for digest in digests {
            let copy = path(&self.copies(), *digest);
            if !tokio::fs::try_exists(&copy).await.map_err(local("look at", &copy))? {
                self.fetch_one(*digest, &copy).await?;
            }
            let (folder, digest) = (self.copies(), *digest);
            let read = tokio::task::spawn_blocking(move || {
                let (stored, header) = StoredSubmission::open(&folder, digest)?;
                stored.check()?;
                let prints = Fingerprints::read(&stored)?;
                stored.rest();
                let new = new_rollout(&folder, header.id, digest);
                let new = new.map_err(|error| Unavailable(error.to_string()))?;
                Ok::<_, Unavailable>(NewRollout { prints: Some(prints), ..new })
            });
            let new = read.await.map_err(|error| Unavailable(error.to_string()))??;
            fetched.insert(digest, new);
        }
        Ok(fetched)
    }

    async fn fetch_one(&self, digest: Digest, copy: &std::path::Path) -> Result<(), Unavailable> {
        let number = TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let aside = self.copies().join(format!("{}-fetched-{number}.new", std::process::id()));
        let key = digest.as_bytes().to_vec();
        let sql = self.options.schema.sql("SELECT blocks FROM @.submissions WHERE digest = $1");
        let found = self.query(&sql, &[(&key, Type::BYTEA)]).await?;
        let Some(blocks) = found.first().map(|row| row.get::<_, i32>(0)) else {
            return Err(Unavailable(format!("the database lacks the submission {digest}")));
        };
        let mut file = tokio::fs::File::create(&aside).await.map_err(local("write", &aside))?;
        let sql = "SELECT content FROM @.blocks WHERE digest = $1 AND block = $2";
        let sql = self.options.schema.sql(sql);
        for block in 0..blocks {
            let rows = self.query(&sql, &[(&key, Type::BYTEA), (&block, Type::INT4)]).await?;
            let Some(row) = rows.first() else {
                return Err(Unavailable(format!(
                    "the database lacks block {block} of the submission {digest}"
                )));
            };
            file.write_all(row.get(0)).await.map_err(local("write", &aside))?;
        }
        file.flush().await.map_err(local("write", &aside))?;
        drop(file);
        tokio::fs::rename(&aside, copy).await.map_err(local("name", copy))
    }

    /// Puts a copy into the database; doing it twice is doing it once.
    async fn upload(&self, digest: Digest) -> Result<(), Unavailable> {
        loop {
            let Some(connected) = self.uploads.connected().await else {
                return Err(self.closed());
            };
            match self.upload_once(digest, &connected).await? {
                Ok(()) => {
                    self.uploads.works();
                    return Ok(());
                }
                Err(DatabaseFault::Final(why)) => return Err(DatabaseFault::Final(why).into()),
                Err(DatabaseFault::Away(why) | DatabaseFault::Again(why)) => {
                    self.uploads.lost(&why);
                    connected.drop_it();
                    tokio::select! {
                        () = self.uploads.another(&connected) => {}
                        () = self.end.cancelled() => return Err(self.closed()),
                    }
                }
            }
        }
    }

    /// Statement by statement, for several may upload at once: the row that says that all blocks are
    /// there comes last. The outer error is final.
    async fn upload_once(
        &self,
        digest: Digest,
        connected: &super::client::DatabaseClient,
    ) -> Result<Result<(), DatabaseFault>, Unavailable> {
        let copy = path(&self.copies(), digest);
        let mut file = tokio::fs::File::open(&copy).await.map_err(local("read", &copy))?;
        let key = digest.as_bytes().to_vec();
        let block_sql = self.options.schema.sql(
            "INSERT INTO @.blocks (digest, block, content) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        );
        let (mut bytes, mut blocks) = (0_i64, 0_i32);
        loop {
            let mut content = Vec::with_capacity(BLOCK);
            let mut part = (&mut file).take(BLOCK as u64);
            part.read_to_end(&mut content).await.map_err(local("read", &copy))?;
            if content.is_empty() {
                break;
            }
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
                [(&key, Type::BYTEA), (&blocks, Type::INT4), (&content, Type::BYTEA)];
            let put = connected.client.execute_typed(&block_sql, &parameters);
            if let Err(fault) = connected.ask(put).await {
                return Ok(Err(fault));
            }
            bytes += i64::try_from(content.len()).unwrap_or(i64::MAX);
            blocks += 1;
        }
        let sql = self.options.schema.sql(
            "INSERT INTO @.submissions (digest, bytes, blocks) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        );
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&key, Type::BYTEA), (&bytes, Type::INT8), (&blocks, Type::INT4)];
        let put = connected.client.execute_typed(&sql, &parameters);
        Ok(connected.ask(put).await.map(drop))
    }
}

impl PostgresStore {
    pub(super) async fn submit_now(
        &self,
        submission: Submission,
    ) -> Result<Submitted, SubmitError> {
        let shared = &self.shared;
        loop {
            shared.catch_up().await?;
            let id = submission.id();
            let prints = Fingerprints::of(submission.targets.iter());
            let known = {
                let replica = shared.replica.lock().await;
                replica.state.admit(id, &submission.plan, &submission.targets, &prints)?
            };
            if let Some(known) = known {
                shared.settled_up().await?;
                return Ok(known);
            }
            let (given, folder) = (submission.clone(), shared.copies());
            let stored = tokio::task::spawn_blocking(move || {
                let digest =
                    write(&folder, id, &given, &Failpoint::default()).map_err(|error| {
                        SubmitError::Refusing(format!("cannot write the submission: {error}"))
                    })?;
                let (stored, _) = StoredSubmission::open(&folder, digest)?;
                stored.check()?;
                Ok::<_, SubmitError>((stored, digest))
            });
            let (stored, digest) =
                stored.await.map_err(|error| Unavailable(error.to_string()))??;
            shared.upload(digest).await?;
            let targets = Arc::new(stored);
            let upload = StoredUpload { submission: submission.clone(), digest, targets, prints };
            let WorkAnswer { outcome, epoch } =
                self.hand_in(SharedWork::Submit(Box::new(upload))).await?;
            let (mark, taken) = match outcome {
                Ok(AcceptedWork::Lines(mark)) => {
                    (mark, Submitted { id, new: true, comments: false })
                }
                Ok(AcceptedWork::Known(known)) => (shared.place().mark, known),
                Err(RefusedWork::Submit(error)) => return Err(error),
                Err(
                    RefusedWork::Broken(error)
                    | RefusedWork::Commit(CommitError::Unavailable(error)),
                ) => {
                    return Err(error.into());
                }
                Err(RefusedWork::Commit(_)) => continue,
            };
            match shared.settle(JournalPlace { epoch, mark }).await {
                Ok(()) => return Ok(taken),
                // It went with the server before it was durable.
                Err(Unsettled::Lost) => {}
                Err(Unsettled::Unavailable(error)) => return Err(error.into()),
            }
        }
    }
}
