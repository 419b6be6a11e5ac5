//! An executor, and what else a test of futures needs.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};

pub type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
pub type Futures = Vec<Boxed>;

/// A hand-written executor of any number of tasks: one thread polls whatever was woken.
struct Task {
    future: Mutex<Option<Boxed>>,
    ready: mpsc::Sender<Arc<Task>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let ready = self.ready.clone();
        let _ = ready.send(self);
    }
}

pub fn run_all(futures: Futures) {
    let (ready, woken) = mpsc::channel();
    let mut left = futures.len();
    for future in futures {
        let task = Task { future: Mutex::new(Some(future)), ready: ready.clone() };
        ready.send(Arc::new(task)).unwrap();
    }
    while left > 0 {
        let task = woken.recv().unwrap();
        let mut future = task.future.lock().unwrap();
        let waker = Waker::from(Arc::clone(&task));
        if let Some(running) = &mut *future
            && running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            *future = None;
            left -= 1;
        }
    }
}

/// A waker that counts.
#[derive(Default)]
pub struct Count(pub AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a future so many times at most, and says what it brought.
pub async fn a_few_polls<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(brought) => Poll::Ready(Some(brought)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How many threads of this process are the crate's.
pub fn own_threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter(|task| {
            let comm = task.as_ref().unwrap().path().join("comm");
            std::fs::read_to_string(comm).unwrap_or_default().starts_with("procession-asyn")
        })
        .count()
}
