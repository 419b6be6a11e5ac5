//! The parts, alone in one thread: ring, allocator, codec, locks. What they cost without anybody else,
//! beside what a thread would use in their place.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use procession::{Family, RawLock, RawQueue, SharedDict, codec};
use serde::{Deserialize, Serialize};

fn ring(c: &mut Criterion) {
    let mut group = c.benchmark_group("put and get 64 bytes");
    group.throughput(Throughput::Elements(1));
    let queue = RawQueue::create(Family::current().unwrap(), None).unwrap();
    let mut out = Vec::new();
    group.bench_function("procession", |b| {
        b.iter(|| {
            queue.try_put(1, black_box(&[7; 64]), None).unwrap();
            queue.try_get(&mut out).unwrap().unwrap().kind
        });
    });
    let (to, from) = crossbeam_channel::unbounded::<[u8; 64]>();
    group.bench_function("crossbeam-channel", |b| {
        b.iter(|| {
            to.send(black_box([7; 64])).unwrap();
            from.recv().unwrap()
        });
    });
    let (to, from) = ipc_channel::ipc::bytes_channel().unwrap();
    group.bench_function("ipc-channel", |b| {
        b.iter(|| {
            to.send(black_box(&[7; 64])).unwrap();
            from.recv().unwrap()
        });
    });
    group.finish();
}

fn allocator(c: &mut Criterion) {
    let family = Family::current().unwrap();
    for size in [4 << 10, 64 << 10, 1 << 20] {
        let mut group = c.benchmark_group(format!("a block of {} KiB", size >> 10));
        group.bench_function("procession", |b| b.iter(|| family.alloc(black_box(size), &[]).unwrap()));
        group.bench_function("malloc", |b| b.iter(|| Vec::<u8>::with_capacity(black_box(size))));
        group.finish();
    }
}

#[derive(Serialize, Deserialize, Clone)]
struct Job {
    id: u64,
    path: String,
    weights: Vec<f64>,
    tags: Vec<(String, bool)>,
}

fn codec(c: &mut Criterion) {
    let job = Job {
        id: 1 << 40,
        path: "/var/lib/something/or/other".into(),
        weights: (0..16).map(f64::from).collect(),
        tags: (0..4).map(|i| (format!("tag {i}"), i % 2 == 0)).collect(),
    };
    let bytes = codec::encode(&job).unwrap();
    let mut group = c.benchmark_group("a struct of 230 bytes");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |b| b.iter(|| codec::encode(black_box(&job)).unwrap()));
    group.bench_function("decode", |b| b.iter(|| codec::decode::<Job>(black_box(&bytes)).unwrap()));
    group.finish();
}

fn locks(c: &mut Criterion) {
    let mut group = c.benchmark_group("lock and unlock");
    let lock = RawLock::create(Family::current().unwrap(), false).unwrap();
    group.bench_function("procession", |b| {
        b.iter(|| {
            lock.try_acquire().unwrap().unwrap();
            lock.release().unwrap();
        });
    });
    let mutex = std::sync::Mutex::new(0);
    group.bench_function("std::sync::Mutex", |b| b.iter(|| *mutex.lock().unwrap() += 1));
    group.finish();
}

fn dict(c: &mut Criterion) {
    let mut group = c.benchmark_group("set and get a number in a dict");
    let dict: SharedDict<u64, u64> = SharedDict::new().unwrap();
    let mut n = 0;
    group.bench_function("procession", |b| {
        b.iter(|| {
            n = (n + 1) % 1000;
            dict.insert(&n, &n).unwrap();
            dict.get(&n).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, ring, allocator, codec, locks, dict);
criterion_main!(benches);
