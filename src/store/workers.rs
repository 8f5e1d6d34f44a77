//! A few threads for reads that may wait for the disk, so that no thread of the async runtime ever
//! does.
//!
//! Invariant: at most [`WAITING_MAX`] tasks are queued; a further one waits for a place. A task
//! that panics loses nothing but its own answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, oneshot};

use super::error::panic_message;

/// Threads: one may be busy with a long scan, and another still answers.
const THREADS: usize = 2;

/// Jobs that may wait for a thread.
const WAITING_MAX: usize = 64;

type ReadTask = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub(crate) struct Workers {
    jobs: Mutex<Option<SyncSender<ReadTask>>>,
    places: Semaphore,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a job gave no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The threads were stopped.
    Stopped,
    /// It panicked, saying this.
    Panicked(String),
}

impl Workers {
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<ReadTask>(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let thread = |number| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("store-read-{number}"))
                .spawn(move || work(&queue))
        };
        let threads = (0..THREADS).map(thread).collect::<Result<_, _>>()?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            places: Semaphore::new(WAITING_MAX),
            threads: Mutex::new(threads),
        })
    }

    /// Runs a job on one of the threads.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let _place = self.places.acquire().await.map_err(|_| NoAnswer::Stopped)?;
        let (answer, answered) = oneshot::channel();
        let job: ReadTask = Box::new(move || {
            let done =
                catch_unwind(AssertUnwindSafe(job)).map_err(|panic| panic_message(panic.as_ref()));
            // Who asked may have gone away; then nobody needs the answer.
            let _ = answer.send(done);
        });
        let sent = self
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|jobs| jobs.try_send(job));
        // There is always room: no more jobs are under way than there are places.
        if !matches!(sent, Some(Ok(()))) {
            return Err(NoAnswer::Stopped);
        }
        answered.await.map_err(|_| NoAnswer::Stopped)?.map_err(NoAnswer::Panicked)
    }

    /// Lets the threads finish what waits, and ends them.
    pub fn stop(&self) {
        self.places.close();
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A job's panic is caught where it happens; there is nothing else to hear of.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<ReadTask>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_takes_only_its_own_answer() {
        let workers = Workers::start().expect("threads");
        assert_eq!(
            workers.run(|| -> u32 { panic!("no") }).await,
            Err(NoAnswer::Panicked("panicked: no".into()))
        );
        for n in 0..100 {
            assert_eq!(workers.run(move || n + 1).await, Ok(n + 1));
        }
        workers.stop();
        assert_eq!(workers.run(|| 1).await, Err(NoAnswer::Stopped));
    }
}
