//! Threads: variables of their own with destructors, channels, scopes, locks, what is made once.
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock};
use std::thread;
use std::time::Duration;

static GONE: AtomicUsize = AtomicUsize::new(0);
static TABLE: LazyLock<BTreeMap<u32, String>> = LazyLock::new(|| (0..5).map(|key| (key, format!("value {key}"))).collect());
static NAME: OnceLock<String> = OnceLock::new();
static START: Once = Once::new();
static TOTAL: Mutex<u64> = Mutex::new(0);

struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        GONE.fetch_add(1, Ordering::SeqCst);
        println!("{} is gone", self.0);
    }
}

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(7) };
    static WORDS: RefCell<Vec<String>> = RefCell::new(vec!["first".into()]);
    static NOISY: RefCell<Option<Noisy>> = const { RefCell::new(None) };
}

fn work(id: u32) -> u32 {
    COUNT.with(|count| count.set(count.get() + id));
    WORDS.with_borrow_mut(|words| words.push(format!("word {id}")));
    START.call_once(|| println!("started once"));
    *TOTAL.lock().unwrap() += u64::from(id);
    WORDS.with_borrow(|words| words.len() as u32) + COUNT.get()
}

fn main() {
    let handles: Vec<_> = (0..8).map(|id| thread::Builder::new().name(format!("worker {id}")).spawn(move || work(id)).unwrap()).collect();
    let results: Vec<u32> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    println!("{results:?} {} {}", work(100), TOTAL.lock().unwrap());

    thread::spawn(|| NOISY.with_borrow_mut(|noisy| *noisy = Some(Noisy("a thread's variable")))).join().unwrap();
    println!("{} dropped", GONE.load(Ordering::SeqCst));

    let id = std::env::args().count();
    let failed = thread::spawn(move || {
        let _guard = Noisy("what a panic unwinds");
        if work(1) > 0 {
            panic!("thread {id}");
        }
    })
    .join()
    .unwrap_err();
    println!("joined: {}", failed.downcast_ref::<String>().unwrap());

    let (sender, receiver) = channel();
    let (bounded, answers) = sync_channel::<u64>(1);
    let consumer = thread::spawn(move || {
        for value in receiver {
            bounded.send(value * value).unwrap();
        }
    });
    for id in 0..4u64 {
        let sender = sender.clone();
        thread::spawn(move || (0..25).for_each(|value| sender.send(id * 25 + value).unwrap()));
    }
    drop(sender);
    println!("channels {}", answers.iter().sum::<u64>());
    consumer.join().unwrap();

    let mut numbers: Vec<u64> = (0..1000).collect();
    thread::scope(|scope| {
        for part in numbers.chunks_mut(100) {
            scope.spawn(|| part.iter_mut().for_each(|number| *number = number.pow(2) % 97));
        }
    });
    println!("scope {}", numbers.iter().sum::<u64>());

    let state = Arc::new((Mutex::new(false), Condvar::new(), RwLock::new(1), Barrier::new(3)));
    let others: Vec<_> = (0..2)
        .map(|id| {
            let state = state.clone();
            thread::spawn(move || {
                state.3.wait();
                let ready = state.1.wait_while(state.0.lock().unwrap(), |ready| !*ready).unwrap();
                drop(ready);
                *state.2.write().unwrap() *= id + 2;
            })
        })
        .collect();
    state.3.wait();
    thread::sleep(Duration::from_millis(5));
    *state.0.lock().unwrap() = true;
    state.1.notify_all();
    others.into_iter().for_each(|other| other.join().unwrap());
    println!("locks {}", state.2.read().unwrap());

    let names: Vec<_> = (0..4).map(|id| thread::spawn(move || NAME.get_or_init(|| format!("of {}", id / 4)).clone())).collect();
    println!("{:?} {:?}", names.into_iter().map(|name| name.join().unwrap()).collect::<Vec<_>>(), TABLE.get(&3));
    let poisoned = Arc::new(Mutex::new(3));
    let other = poisoned.clone();
    let _ = thread::spawn(move || {
        let _held = other.lock().unwrap();
        panic!("while it is held");
    })
    .join();
    println!("poisoned {} {}", poisoned.is_poisoned(), poisoned.lock().unwrap_or_else(|error| error.into_inner()));
    let parked = thread::spawn(|| {
        thread::park();
        thread::current().name().map(str::to_string)
    });
    parked.thread().unpark();
    println!("{:?} {:?}", parked.join().unwrap(), thread::current().name());
}
