//! Collections, text, numbers, iterators, traits.
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt::{self, Write};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::rc::{Rc, Weak};
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Token {
    Number(i64),
    Word(String),
    Pair { left: Box<Token>, right: Box<Token> },
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Number(number) => write!(f, "{number:+05}"),
            Token::Word(word) => f.pad(word),
            Token::Pair { left, right } => write!(f, "({left} . {right:>8})"),
        }
    }
}

impl FromStr for Token {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Token, Self::Err> {
        if text.starts_with(char::is_alphabetic) { Ok(Token::Word(text.to_string())) } else { text.parse().map(Token::Number) }
    }
}

trait Shape {
    fn area(&self) -> f64;
    fn name(&self) -> Cow<'static, str> {
        "shape".into()
    }
}
struct Circle(f64);
struct Square(f64);
impl Shape for Circle {
    fn area(&self) -> f64 {
        std::f64::consts::PI * self.0.powi(2)
    }
    fn name(&self) -> Cow<'static, str> {
        format!("circle {:.1}", self.0).into()
    }
}
impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

struct Node {
    parent: RefWeak,
    value: u32,
}
type RefWeak = Weak<Node>;

fn floats() {
    for value in [0.1 + 0.2, 1e300, 5e-324, f64::NAN, -0.0, f64::INFINITY, 123456789.125, 2.5f64.sqrt(), 1.0f64.exp(), 10f64.ln(), 0.5f64.sin(), 2f64.powf(0.5), 7.5 % 2.0, 1f64.atan2(2.0), f64::MAX.cbrt()] {
        print!("{value} {value:?} {value:.3} {value:e} {value:+10.2} | ");
    }
    println!();
    println!("{:?} {:?} {:?}", "1e-7".parse::<f64>(), "abc".parse::<f64>().is_err(), "3.4028236e38".parse::<f32>());
    println!("{} {} {}", 1.5f32 as i8, -1e20 as i64, f64::NAN as u32);
    println!("{} {}", 2.5f64.round_ties_even(), 2.0f64.mul_add(3.0, 1.0));
}

fn integers(base: u64) {
    let wide = u128::from(base).pow(2) * 12345678901234567890123u128;
    println!("{wide} {:x} {} {}", wide, wide / 987654321987654321, wide % 1000000007);
    println!("{} {} {} {}", i128::MIN, base.leading_zeros(), base.count_ones(), base.reverse_bits());
    println!("{:?} {:?} {}", base.checked_mul(u64::MAX), 200u8.checked_add(base as u8), 200u8.saturating_add(base as u8));
    println!("{:#b} {:#o} {:#X} {:>+8} {:<8}| {:^8}|", base, base, base, base, base, base);
    println!("{} {}", (wide as f64), (wide as i128 as f32));
    println!("{}", i64::from_str_radix("-7fffffff", 16).unwrap().rem_euclid(1000));
}

fn main() {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in "the quick brown fox jumps over the lazy dog and the cat".split(' ') {
        *counts.entry(word.to_string()).or_default() += word.len();
    }
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    println!("{sorted:?}");
    let set: HashSet<u64> = (0..5000).map(|number| number * number % 1009).collect();
    println!("{} {}", set.len(), set.iter().sum::<u64>());
    let mut hasher = DefaultHasher::new();
    Token::Pair { left: Box::new(Token::Number(3)), right: Box::new(Token::Word("x".into())) }.hash(&mut hasher);
    println!("{:x} {}", hasher.finish(), RandomState::new().hash_one(1) == RandomState::new().hash_one(1));
    let tree: BTreeMap<Token, usize> = ["12", "-7", "word", "another", "12"].iter().enumerate().map(|(at, text)| (text.parse().unwrap(), at)).collect();
    println!("{tree:?} {:#?}", tree.range(Token::Number(0)..).next());
    println!("{} {:?}", Token::Pair { left: Box::new(Token::Number(3)), right: Box::new(Token::Word("x".into())) }, Token::from_str("1x"));
    let mut heap: BinaryHeap<_> = [5, 1, 8, 3, 9, 2].into();
    print!("{:?} ", heap.pop());
    let mut queue: VecDeque<_> = heap.into_sorted_vec().into();
    queue.rotate_left(2);
    queue.push_front(100);
    println!("{queue:?} {:?}", "żółć ẞ İ".to_lowercase().chars().rev().collect::<String>());
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Circle(2.0)), Box::new(Square(3.0))];
    let mut text = String::new();
    for shape in &shapes {
        write!(text, "{}={:.4};", shape.name(), shape.area()).unwrap();
    }
    println!("{text}");
    let root = Rc::new(Node { parent: Weak::new(), value: 1 });
    let leaf = Rc::new(Node { parent: Rc::downgrade(&root), value: 2 });
    println!("{} {} {:?}", leaf.value, Rc::weak_count(&root), leaf.parent.upgrade().map(|parent| parent.value + parent.parent.strong_count() as u32));
    drop(root);
    println!("{}", leaf.parent.upgrade().is_none());
    let mut numbers: Vec<u32> = (0..10000u32).map(|number| number.wrapping_mul(2654435761) % 10007).collect();
    numbers.sort_unstable();
    numbers.dedup();
    println!("{} {:?} {:?}", numbers.len(), numbers.binary_search(&5000).is_ok(), numbers.windows(2).map(|pair| pair[1] - pair[0]).max());
    let primes: BTreeSet<u32> = (2..60).filter(|number| (2..*number).all(|divisor| number % divisor != 0)).collect();
    println!("{primes:?} {}", primes.iter().fold(String::new(), |text, prime| text + &prime.to_string()));
    println!("{:?}", "a=1;b=2;;c".split(';').map(|part| part.split_once('=')).collect::<Vec<_>>());
    floats();
    integers(std::env::args().count() as u64 * 1234567);
}
