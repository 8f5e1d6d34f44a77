//! Several runs beside each other, one a core; what comes out does not depend on how many cores
//! there are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `one` for every number below `count`, on so many threads, and gives the results in order.
/// When `enough` of a result is true, numbers after it are no longer begun; all before it are done.
pub(super) fn on_cores<T: Send>(
    count: usize,
    threads: usize,
    one: &(dyn Fn(usize) -> T + Sync),
    enough: &(dyn Fn(&T) -> bool + Sync),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let end = AtomicUsize::new(count);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end.load(Ordering::Relaxed) {
                return;
            }
            let result = one(number);
            if enough(&result) {
                end.fetch_min(number + 1, Ordering::Relaxed);
            }
            done.lock().expect("a thread that panics ends the whole scope").push((number, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, count.max(1)) {
            scope.spawn(work);
        }
        work();
    });
    let end = end.into_inner();
    let mut done = done.into_inner().expect("a thread that panics ends the whole scope");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().filter(|(number, _)| *number < end).map(|(_, result)| result).collect()
}

/// As many threads as the machine has cores.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_end_at_the_first_that_is_enough() {
        for threads in [1, 4] {
            let found = on_cores(100, threads, &|number| number * number, &|square| *square >= 400);
            assert_eq!(
                found,
                (0..=20).map(|number| number * number).collect::<Vec<_>>(),
                "on {threads} threads"
            );
            assert_eq!(on_cores(0, threads, &|number| number, &|_| false), Vec::<usize>::new());
        }
    }
}
