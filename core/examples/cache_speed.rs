//! How fast the embedded cache is from Rust: `examples/c/bench.c` line by line, for `scripts/c_bench.py` to compare.

use std::env;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use ant_cache_core::Cache;

const KEYS: u32 = 1_000_000;
/// Of each thread.
const CALLS: usize = 2_000_000;

/// Which keys a thread asks for.
fn draw(shares: &[f64], mut seed: u64) -> Vec<u32> {
    (0..CALLS)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let wanted = (seed >> 11) as f64 / 9_007_199_254_740_992.0;
            let key = shares.partition_point(|&share| share <= wanted) as u32;
            let key = u64::from(key.min(KEYS - 1));
            (key * 2_654_435_761 % u64::from(KEYS)) as u32
        })
        .collect()
}

/// Millions of calls a second, all threads together.
fn speed(orders: &[Vec<u32>], call: impl Fn(u32, &mut Vec<u8>) + Sync) -> f64 {
    let call = &call;
    let start = Instant::now();
    thread::scope(|scope| {
        for order in orders {
            scope.spawn(move || {
                let mut buffer = Vec::with_capacity(64);
                for &key in order {
                    call(key, &mut buffer);
                }
            });
        }
    });
    (CALLS * orders.len()) as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let mut args = env::args().skip(1);
    let zipf = args.next().as_deref() == Some("zipf");
    let threads = args.next().map_or(1, |count| count.parse().unwrap());
    let cache = Cache::builder().build();
    let keys: Vec<[u8; 16]> = (0..KEYS)
        .map(|number| format!("key:{number:012}").into_bytes().try_into().unwrap())
        .collect();
    let mut sum = 0.0;
    let mut shares: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += if zipf {
                f64::from(rank).powf(-0.99)
            } else {
                1.0
            };
            sum
        })
        .collect();
    shares.iter_mut().for_each(|share| *share /= sum);
    for key in &keys {
        cache
            .insert(key, b"a value of thirty-two bytes ....")
            .unwrap();
    }
    let orders: Vec<_> = (0..threads)
        .map(|thread| draw(&shares, 88_172_645_463_325_252 + thread))
        .collect();
    let set = |key: u32, _: &mut Vec<u8>| cache.insert(keys[key as usize], &[0; 32]).unwrap();
    let get = |key: u32, buffer: &mut Vec<u8>| {
        buffer.clear();
        assert!(cache.get_into(keys[key as usize], buffer));
        black_box(&buffer);
    };
    speed(&orders, set);
    println!("set {:.2}", speed(&orders, set));
    println!("get {:.2}", speed(&orders, get));
}
