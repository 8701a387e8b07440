//! What the client counts beyond the one request for which its caller has a turn.

use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use kietop::{
    domain::{
        link::VideoUrl,
        time::Mono,
        turns::{Account, Heard, PutOff, Refusal, Turn, Word},
    },
    ports::{FreshLinks as _, Turns},
};

use super::*;

/// A book that refuses so often, and tells what is done in it.
#[derive(Debug)]
struct Book {
    refuses: AtomicUsize,
    held: Option<PollError>,
    done: mpsc::Sender<String>,
}

impl Book {
    fn begin(refuses: usize, held: Option<PollError>) -> (Arc<dyn Turns>, mpsc::Receiver<String>) {
        let (done, told) = mpsc::channel();
        let book = Self {
            refuses: AtomicUsize::new(refuses),
            held,
            done,
        };
        (Arc::new(book), told)
    }

    fn note(&self, what: String) -> bool {
        self.done.send(what).unwrap();
        let left = |left: usize| left.checked_sub(1);
        self.refuses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_err()
    }
}

impl Turns for Book {
    fn take(&self, task: &TaskId, account: Account) -> Result<Turn, PutOff> {
        let is_given = self.note(format!("take {task}"));
        let why = match &self.held {
            Some(error) => Refusal::Held {
                error: error.clone(),
                failures: 1,
            },
            None if is_given => {
                return Ok(Turn {
                    task: task.clone(),
                    account,
                    since: Mono::default(),
                    holder: None,
                });
            }
            None => Refusal::Crowded,
        };
        Err(PutOff {
            why,
            wait: Duration::from_millis(1),
        })
    }

    fn again(&self) -> Result<(), Duration> {
        if self.note("again".into()) {
            Ok(())
        } else {
            Err(Duration::from_millis(1))
        }
    }

    fn end(&self, _: &Turn, heard: &Heard) {
        self.note(format!("end {heard:?}"));
    }

    fn tell(&self, _: &Word, _: Account) {}
}

/// Returns a client that counts in a book, and what is done in that.
fn sharing(
    server: &RawServer,
    refuses: usize,
    held: Option<PollError>,
) -> (KieClient, mpsc::Receiver<String>) {
    let (book, told) = Book::begin(refuses, held);
    let client = client(&server.origin(), Limits::default()).sharing(Some(book));
    (client, told)
}

fn all(told: &mpsc::Receiver<String>) -> Vec<String> {
    told.try_iter().collect()
}

async fn link(client: &KieClient) -> Result<VideoUrl, PollError> {
    let url = VideoUrl::parse("https://tempfile.example/l/v.mp4").unwrap();
    client.fresh_link(&id(), &url).await
}

// F6: the second question waits for its own place among those of all instances.
#[tokio::test]
async fn a_question_put_a_second_time_is_counted_before_it_is_sent() {
    let reset = vec![Step::Read, Step::Reset];
    let good = vec![Step::Read, Step::Write(answer("200 OK", RUNNING).into())];
    let mut server = RawServer::start(vec![reset, good.clone()]).await;
    let (client, told) = sharing(&server, 2, None);

    assert!(ask(&client).await.is_ok());
    assert_eq!(server.requests().len(), 2);
    assert_eq!(all(&told), ["again", "again", "again"]);

    let server = RawServer::start(vec![good]).await;
    let (client, told) = sharing(&server, 0, None);
    assert!(ask(&client).await.is_ok());
    assert!(all(&told).is_empty(), "its caller has the turn for one");
}

#[tokio::test]
async fn a_fresh_link_is_asked_for_in_a_turn_of_its_own() {
    let take = format!("take {ID}");
    let body = r#"{"code":200,"msg":"success","data":"https://files.example/v.mp4?sig=1"}"#;
    let mut server = RawServer::answering(answer("200 OK", body)).await;
    let (client, told) = sharing(&server, 1, None);

    assert!(link(&client).await.is_ok());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(all(&told), [&*take, &*take, "end Server"]);

    let server = RawServer::answering(answer("200 OK", r#"{"code":401,"msg":"no"}"#)).await;
    let (client, told) = sharing(&server, 0, None);
    link(&client).await.unwrap_err();
    assert_eq!(all(&told), [&*take, "end Account(Unauthorized(401))"]);
}

#[tokio::test]
async fn no_fresh_link_is_asked_for_while_the_account_is_held_back() {
    let mut server = RawServer::answering(answer("200 OK", "{}")).await;
    let (client, told) = sharing(&server, 0, Some(PollError::Maintenance));

    assert_eq!(link(&client).await, Err(PollError::Maintenance));
    assert_eq!(server.requests().len(), 0);
    assert_eq!(all(&told), [format!("take {ID}")]);
}

/// A book that gives a turn only after somebody has met it twice.
#[derive(Debug)]
struct Slow {
    book: Arc<dyn Turns>,
    meets: Arc<Barrier>,
}

impl Turns for Slow {
    fn take(&self, task: &TaskId, account: Account) -> Result<Turn, PutOff> {
        self.meets.wait();
        self.meets.wait();
        self.book.take(task, account)
    }

    fn again(&self) -> Result<(), Duration> {
        self.book.again()
    }

    fn end(&self, turn: &Turn, heard: &Heard) {
        self.book.end(turn, heard);
    }

    fn tell(&self, word: &Word, account: Account) {
        self.book.tell(word, account);
    }
}

// A save that is stopped while its question waits for the book.
#[tokio::test]
async fn a_turn_that_comes_when_nobody_wants_it_any_more_is_given_back() {
    let (book, told) = Book::begin(0, None);
    let meets = Arc::new(Barrier::new(2));
    let slow = Slow {
        book,
        meets: Arc::clone(&meets),
    };
    let client = client("http://127.0.0.1:9", Limits::default()).sharing(Some(Arc::new(slow)));
    let asking = tokio::spawn(async move { link(&client).await });
    let meet = || {
        tokio::task::spawn_blocking({
            let meets = Arc::clone(&meets);
            move || meets.wait()
        })
    };

    meet().await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    meet().await.unwrap();

    let next = || told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(
        [next(), next()],
        [format!("take {ID}"), "end Nothing".into()]
    );
}
