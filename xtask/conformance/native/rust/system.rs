//! What a program asks the system for: arguments, files, sockets, other programs, time; and an end in the middle.
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

extern "C" fn at_exit() {
    println!("at exit");
}

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> i32;
    fn strlen(text: *const std::ffi::c_char) -> usize;
}

struct Noisy;
impl Drop for Noisy {
    fn drop(&mut self) {
        println!("never seen: the process ends before");
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{arguments:?} {}", std::env::var("CONFORMANCE_VARIABLE").is_err());
    let folder = std::env::temp_dir().join(format!("jitlink-system-{}", std::process::id()));
    fs::create_dir_all(folder.join("a/b"))?;
    let path = folder.join("a/text");
    let mut file = BufWriter::new(File::create(&path)?);
    for line in 0..100 {
        writeln!(file, "line {line}")?;
    }
    file.into_inner()?.sync_all()?;
    let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
    file.write_all(b"the end")?;
    file.seek(SeekFrom::Start(5))?;
    let lines: Vec<String> = BufReader::new(&file).lines().collect::<io::Result<_>>()?;
    println!("{} {:?} {:?} {}", lines.len(), lines.first(), lines.last(), fs::metadata(&path)?.len());
    let mut names: Vec<_> = fs::read_dir(folder.join("a"))?.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    println!("{names:?} {:?}", fs::read(folder.join("none")).map_err(|error| (error.kind(), error.to_string())));
    fs::remove_dir_all(&folder)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || -> io::Result<usize> {
        let (mut stream, _) = listener.accept()?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text.len())
    });
    let mut client = TcpStream::connect(address)?;
    client.write_all(&[b'x'; 12345])?;
    drop(client);
    println!("sent {}", server.join().unwrap()?);

    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().unwrap().write_all(b"through another program")?;
    let output = child.wait_with_output()?;
    println!("{} {}", String::from_utf8_lossy(&output.stdout), output.status);
    println!("{}", Command::new("sh").args(["-c", "exit 7"]).status()?);
    println!("{:?}", Command::new("/no/such/program").status().map_err(|error| error.kind()));

    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    println!("{} {}", start.elapsed() >= Duration::from_millis(2), SystemTime::now() > SystemTime::UNIX_EPOCH);
    println!("{}", unsafe { strlen(c"eight by".as_ptr()) });
    let mut input = String::new();
    println!("{} bytes of input", io::stdin().read_line(&mut input)?);
    println!("{}", std::backtrace::Backtrace::force_capture().to_string().is_empty());
    println!("{:?}", std::thread::available_parallelism().is_ok());
    unsafe { atexit(at_exit) };
    let _noisy = Noisy;
    print!("no line end");
    std::process::exit(if arguments.len() == 2 { 42 } else { 1 })
}
