//! Ant-Cache as a library, without a server: threads that share what they compute.
//!
//! Four threads serve the same pages. Rendering is dear, so each page is rendered once, by whoever asks first, and the
//! others wait for it; a page is good for a minute. `cargo run -p ant-cache-embedded-example` prints what happened.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use ant_cache_core::Cache;
use ant_cache_core::cache::{Bytes, Insert, InsertError, Ttl};

const THREADS: u64 = 4;
const PAGES: u64 = 100;

/// The pages of a site, each rendered when it is first asked for.
struct Site {
    cache: Cache,
    rendered: AtomicU64,
}

impl Site {
    fn new() -> Self {
        Self {
            cache: Cache::builder().max_memory(16 << 20).build(),
            rendered: AtomicU64::new(0),
        }
    }

    /// The page, or why there is none. An error is not kept: the next who asks tries again.
    fn page(&self, number: u64) -> Result<Bytes, String> {
        let minute = Insert::new().ttl(Duration::from_secs(60));
        self.cache
            .get_or_try_insert_with(format!("page:{number}"), &minute, || self.render(number))
    }

    fn render(&self, number: u64) -> Result<Vec<u8>, String> {
        if number >= PAGES {
            return Err(format!("there is no page {number}"));
        }
        self.rendered.fetch_add(1, Relaxed);
        Ok(format!("<h1>Page {number}</h1>").repeat(100).into_bytes())
    }
}

fn main() -> Result<(), InsertError> {
    let site = Site::new();
    let bytes: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    (0..PAGES)
                        .map(|page| site.page(page).map_or(0, |page| page.len()))
                        .sum::<usize>()
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .sum()
    });
    println!("{THREADS} threads read {PAGES} pages each, {bytes} bytes");
    println!("pages rendered: {}", site.rendered.load(Relaxed));
    if let Err(error) = site.page(PAGES) {
        println!("no such page: {error}");
    }

    // What is held stays, whatever happens to the entry; a page of 1 KiB or more is shared, not copied.
    let held = site.page(7);
    site.cache.remove("page:7");
    println!(
        "held after its removal: {} bytes",
        held.map_or(0, |page| page.len())
    );

    // One of many who want a job gets it, and has half a minute for it.
    let lease = Insert::new().ttl(Duration::from_secs(30)).only_if_absent();
    let first = site
        .cache
        .insert_with("lease:backup", b"thread 1", &lease)?;
    let second = site
        .cache
        .insert_with("lease:backup", b"thread 2", &lease)?;
    println!("lease: thread 1 {first}, thread 2 {second}");
    if let Some(Ttl::Left(left)) = site.cache.ttl("lease:backup") {
        println!(
            "the lease ends in half a minute: {}",
            left <= Duration::from_secs(30)
        );
    }

    let pages = site
        .cache
        .iter()
        .filter(|(key, _)| key.starts_with(b"page:"));
    println!("pages in the cache: {}", pages.count());
    let stats = site.cache.stats();
    println!(
        "entries: {}, hits and misses: {}, loads: {}",
        stats.entries,
        stats.hits + stats.misses,
        stats.loads
    );
    Ok(())
}
