//! A search on several threads.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use crate::search::{Progress, Search};

/// How many nonces a thread takes at once: some tens of microseconds of work, so that taking them
/// costs nothing, and all threads end at about the same time. It is a multiple of the number of heads.
const SHARE: u64 = 64 * 160;

/// [`Search::run`] on several threads, with the same result. None is left when it returns.
///
/// The threads take their shares in ascending order. Nonces before the first solution are tried to the
/// last one, whoever has them; nonces after it are given up.
pub(crate) fn run(
    search: &mut Search,
    threads: usize,
    indices: Range<u64>,
    stop: &AtomicBool,
) -> Progress {
    // The next share, the first solution so far, and the first nonce that was left out at a stop.
    let next = AtomicU64::new(indices.start);
    let solution = AtomicU64::new(u64::MAX);
    let left_out = AtomicU64::new(indices.end);
    let work = |search: &mut Search| {
        loop {
            let start = next.fetch_add(SHARE, Relaxed);
            if start >= indices.end.min(solution.load(Relaxed)) {
                break;
            }
            let end = indices.end.min(start + SHARE);
            let progress = search.run(start..end, stop);
            if progress.solved {
                solution.fetch_min(progress.next - 1, Relaxed);
                break;
            }
            if progress.next < end {
                left_out.fetch_min(progress.next, Relaxed);
                break;
            }
        }
    };
    thread::scope(|scope| {
        // Where the system grants no more threads, those that there are do it all.
        let helpers: Vec<_> = (1..threads)
            .filter_map(|_| {
                let mut search = search.clone();
                thread::Builder::new().spawn_scoped(scope, move || work(&mut search)).ok()
            })
            .collect();
        work(search);
        // The scope alone would wait for their work, and not for the threads themselves.
        for helper in helpers {
            helper.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let (solution, left_out) = (solution.into_inner(), left_out.into_inner());
    if solution < left_out {
        Progress { next: solution + 1, solved: true }
    } else {
        Progress { next: left_out, solved: false }
    }
}
