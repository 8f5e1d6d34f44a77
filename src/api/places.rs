//! Places: how many clients the socket serves, which of them makes room for another one, and how
//! long a client may stall.
//!
//! Invariants: at most [`CONNECTIONS_MAX`] connections of a door are served, of one network address
//! at most [`ADDRESS_MAX`], and at most [`TURNED_AWAY_MAX`] more are answered that the daemon is
//! busy. A connection whose next step is its client's (no request yet, half a body, an answer that
//! is not read) keeps nobody out: the one that has waited longest is closed for a new one, of the
//! same address where that has too many. A body of which nothing arrives and an answer of which
//! nothing is read for the idle limit end with an error, and with them whatever place their request
//! has taken.
//!
//! HTTP/2 has many requests on one connection, which is then its client's turn when each of them
//! waits for the client. An answer whose next part nobody fetches for the idle limit closes its
//! connection: its stream's window is full, which no write to the socket shows.
//!
//! Deliberately not here: who the client is (`door`).

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::Service;

use super::address::AddressBlock;
use super::fault::ApiError;
use crate::clock::Clock;

/// Connections served at once; operators and a page need a handful, and each costs a file
/// descriptor.
pub const CONNECTIONS_MAX: usize = 256;

/// Connections of one network address: a browser has six, and a script that asks in parallel some
/// more.
pub const ADDRESS_MAX: usize = 32;

/// Connections beyond them that are still answered, with the word that the daemon is busy; more are
/// closed unheard.
pub const TURNED_AWAY_MAX: usize = 32;

/// Longest time in which a client that has begun a request may do nothing: neither send the next
/// part of a body nor read the next part of an answer. A disk that hesitates takes less.
pub const IDLE_MAX: Duration = Duration::from_secs(30);

/// A client that has begun a request is not closed for another one before it has done nothing for
/// this long.
const STALLED: Duration = Duration::from_secs(1);

/// Longest wait for one of a few places. Longer than [`IDLE_MAX`]: a place whose client has stalled
/// is free by then.
const PLACE_WITHIN: Duration = IDLE_MAX.saturating_add(Duration::from_secs(10));

/// Takes one of a few places, first come first served; after a bounded wait the daemon is busy,
/// with `why`.
pub(super) async fn place(
    places: &'static Semaphore,
    why: &str,
) -> Result<SemaphorePermit<'static>, ApiError> {
    match timeout(PLACE_WITHIN, places.acquire()).await {
        Ok(place) => Ok(place.expect("the semaphore is never closed")),
        Err(_) => Err(ApiError::busy(format!(
            "{why}, and it did not end within {} s; try again later",
            PLACE_WITHIN.as_secs()
        ))),
    }
}

/// Nothing of a body arrived for the idle limit.
#[derive(Debug, thiserror::Error)]
#[error("nothing of it arrived for {} s", .0.as_secs_f32())]
pub(super) struct Stalled(Duration);

impl Stalled {
    /// Finds it behind an error that an extractor made of it.
    pub(super) fn behind<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |error| error.source())
            .find_map(|error| error.downcast_ref())
    }
}

/// All connections of one door.
#[derive(Clone)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
    clock: Arc<dyn Clock>,
    idle: Duration,
}

#[derive(Default)]
struct Table {
    next: u64,
    served: BTreeMap<u64, (Option<AddressBlock>, Arc<Connection>)>,
    turned_away: usize,
}

impl Table {
    /// How many connections an address has; all of them without one.
    fn count(&self, from: Option<AddressBlock>) -> usize {
        match from {
            Some(_) => self.served.values().filter(|(other, _)| *other == from).count(),
            None => self.served.len(),
        }
    }

    /// Closes the connection that has waited longest for its client, of this address if one is
    /// given; false if none has.
    fn make_room(&mut self, of: Option<AddressBlock>, now: Duration) -> bool {
        let ours = self.served.iter().filter(|(_, (from, _))| of.is_none() || *from == of);
        let longest =
            ours.filter_map(|(id, (_, connection))| Some((connection.rank(now)?, *id))).min();
        let gone = longest.and_then(|(_, id)| self.served.remove(&id));
        gone.iter().for_each(|(_, connection)| connection.closed.cancel());
        gone.is_some()
    }
}

/// One connection: whose step is next, and whether it must go.
struct Connection {
    turn: Mutex<Turn>,
    clock: Arc<dyn Clock>,
    closed: CancellationToken,
}

/// Whose step is next.
#[derive(Default)]
struct Turn {
    /// Requests that have begun and whose answers are not whole.
    answering: usize,
    /// Of those, how many wait for their body.
    bodies: usize,
    /// The client does not read the answer.
    answer: bool,
    /// When the client's turn began, since boot.
    since: Duration,
    /// Since when the next part of an answer is not fetched, by the answer's number.
    unread: BTreeMap<u64, Duration>,
    /// Number of the next answer.
    next: u64,
}

impl Turn {
    fn is_clients(&self) -> bool {
        self.answering <= self.bodies || self.answer
    }
}

// Whatever panicked while it held one of these locks left only flags behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let turn = Turn { since: clock.times().boot, ..Turn::default() };
        Arc::new(Self { turn: Mutex::new(turn), clock, closed: CancellationToken::new() })
    }

    fn note(&self, change: impl FnOnce(&mut Turn)) {
        let mut turn = lock(&self.turn);
        let before = turn.is_clients();
        change(&mut turn);
        if turn.is_clients() && !before {
            turn.since = self.clock.times().boot;
        }
    }

    /// How soon it is to make room: those without a request first, then the longest wait. `None`
    /// while it may not be closed.
    fn rank(&self, now: Duration) -> Option<(bool, Duration)> {
        let turn = lock(&self.turn);
        let may_go =
            turn.is_clients() && (turn.answering == 0 || now.saturating_sub(turn.since) >= STALLED);
        may_go.then_some((turn.answering > 0, turn.since))
    }

    /// Whether the next part of an answer has not been fetched for so long.
    fn is_unread(&self, idle: Duration) -> bool {
        let now = self.clock.times().boot;
        lock(&self.turn).unread.values().any(|since| now.saturating_sub(*since) >= idle)
    }
}

impl Connections {
    /// None yet; a client may stall for `idle`.
    pub(super) fn new(clock: Arc<dyn Clock>, idle: Duration) -> Self {
        Self { table: Arc::default(), clock, idle }
    }

    /// A place for one more, from this address of the network, if it comes from there. If all are
    /// taken, or those that one address may have, the connection that has waited longest for its
    /// client makes room; if none has, the new one is turned away, or `None`.
    pub(super) fn admit(&self, from: Option<AddressBlock>) -> Option<ConnectionPlace> {
        let mut table = lock(&self.table);
        let now = self.clock.times().boot;
        let mut away = None;
        if from.is_some() && table.count(from) >= ADDRESS_MAX && !table.make_room(from, now) {
            away = Some(format!("{ADDRESS_MAX} connections of this address are being answered"));
        } else if table.served.len() >= CONNECTIONS_MAX && !table.make_room(None, now) {
            away = Some(format!("{CONNECTIONS_MAX} requests are being answered"));
        }
        let connection = Connection::new(self.clock.clone());
        let id = match &away {
            None => {
                let id = table.next;
                table.next += 1;
                table.served.insert(id, (from, connection.clone()));
                Some(id)
            }
            Some(_) if table.turned_away < TURNED_AWAY_MAX => {
                table.turned_away += 1;
                None
            }
            Some(_) => return None,
        };
        Some(ConnectionPlace {
            table: self.table.clone(),
            id,
            away: away.map(Into::into),
            connection,
            idle: self.idle,
        })
    }
}

/// A connection's place; free again when dropped.
pub(super) struct ConnectionPlace {
    table: Arc<Mutex<Table>>,
    /// `None`: it is turned away.
    id: Option<u64>,
    /// Why it is turned away.
    away: Option<Arc<str>>,
    connection: Arc<Connection>,
    idle: Duration,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut table = lock(&self.table);
        match self.id {
            // The one that made room is gone from the table already.
            Some(id) => drop(table.served.remove(&id)),
            None => table.turned_away -= 1,
        }
    }
}

impl ConnectionPlace {
    /// Puts the connection's stream and service in this place.
    pub(super) fn hold<S, T>(self, stream: S, inner: T) -> (PlacedStream<S>, Timely<T>) {
        let service = Timely {
            inner,
            connection: self.connection.clone(),
            away: self.away.clone(),
            idle: self.idle,
        };
        let closed = Box::pin(self.connection.closed.clone().cancelled_owned());
        let look = Box::pin(sleep(self.idle / 2));
        (PlacedStream { stream, closed, look, stall: None, place: self }, service)
    }
}

/// The stream of a connection in its place.
pub(super) struct PlacedStream<S> {
    stream: S,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// When the answers are looked through for one that nobody fetches.
    look: Pin<Box<Sleep>>,
    stall: Option<Pin<Box<Sleep>>>,
    place: ConnectionPlace,
}

impl<S> PlacedStream<S> {
    /// Fails once the connection has made room for another one, or an answer is not fetched.
    fn open(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.look.as_mut().poll(context).is_ready() {
            let idle = self.place.idle;
            if self.place.connection.is_unread(idle) {
                return Err(not_read());
            }
            self.look.set(sleep(idle / 2));
        }
        match self.closed.as_mut().poll(context) {
            Poll::Ready(()) => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "closed for another client"))
            }
            Poll::Pending => Ok(()),
        }
    }

    /// A write that waits for the client ends after the idle limit.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            if self.stall.take().is_some() {
                self.place.connection.note(|turn| turn.answer = false);
            }
            return written;
        }
        let idle = self.place.idle;
        if self.stall.is_none() {
            self.place.connection.note(|turn| turn.answer = true);
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(not_read()))
    }
}

fn not_read() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")
}

impl<S: AsyncRead + Unpin> AsyncRead for PlacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.open(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PlacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.open(context)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The service of a connection in its place: bounds how long a body may stall, and answers who is
/// turned away.
#[derive(Clone)]
pub(super) struct Timely<T> {
    inner: T,
    connection: Arc<Connection>,
    /// Why it is turned away, if it is.
    away: Option<Arc<str>>,
    idle: Duration,
}

impl<T, B> Service<Request<B>> for Timely<T>
where
    T: Service<Request<Body>, Response = Response<Body>>,
    T::Future: Send + 'static,
    T::Error: Send + 'static,
    B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Response<AnswerBody>, T::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answering = Answering::new(self.connection.clone());
        let whole = |body| AnswerBody { body, answering };
        if let Some(why) = &self.away {
            let mut answer =
                ApiError::busy(format!("{why}; try again in a moment")).into_response();
            // Its place is for the next one that is turned away.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return std::future::ready(Ok(answer.map(whole))).boxed();
        }
        let (connection, idle) = (self.connection.clone(), self.idle);
        let answered = self.inner.call(
            request.map(|inner| Body::new(Arriving { inner, connection, idle, stall: None })),
        );
        async move { Ok(answered.await?.map(whole)) }.boxed()
    }
}

/// From a request's head to the last byte of its answer.
struct Answering {
    connection: Arc<Connection>,
    number: u64,
}

impl Answering {
    fn new(connection: Arc<Connection>) -> Self {
        let mut number = 0;
        connection.note(|turn| {
            number = turn.next;
            turn.next += 1;
            turn.answering += 1;
        });
        Self { connection, number }
    }

    /// A part was handed over, and the next one is not fetched yet; or it is.
    fn unread(&self, is: bool) {
        let now = self.connection.clock.times().boot;
        let mut turn = lock(&self.connection.turn);
        let _ = if is {
            turn.unread.insert(self.number, now)
        } else {
            turn.unread.remove(&self.number)
        };
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.connection.note(|turn| {
            turn.answering -= 1;
            turn.unread.remove(&self.number);
        });
    }
}

/// A request's body on its way here.
struct Arriving<B> {
    inner: B,
    connection: Arc<Connection>,
    idle: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

impl<B> Arriving<B> {
    fn moved(&mut self) {
        if self.stall.take().is_some() {
            self.connection.note(|turn| turn.bodies -= 1);
        }
    }
}

impl<B> Drop for Arriving<B> {
    fn drop(&mut self) {
        self.moved();
    }
}

impl<B> http_body::Body for Arriving<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(frame) = polled {
            self.moved();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let idle = self.idle;
        if self.stall.is_none() {
            self.connection.note(|turn| turn.bodies += 1);
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Some(Err(Stalled(idle).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body; when it is dropped, the next step is the client's.
pub(super) struct AnswerBody {
    body: Body,
    answering: Answering,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.answering.unread(matches!(&polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::clock::Times;

    /// Tokio's clock, which a test moves.
    struct PausedClock(tokio::time::Instant);

    impl Clock for PausedClock {
        fn times(&self) -> Times {
            Times { wall: jiff::Timestamp::UNIX_EPOCH, boot: self.0.elapsed() }
        }
    }

    fn clock() -> Arc<dyn Clock> {
        Arc::new(PausedClock(tokio::time::Instant::now()))
    }

    fn begin(place: &ConnectionPlace) -> Answering {
        Answering::new(place.connection.clone())
    }

    fn is_closed(place: &ConnectionPlace) -> bool {
        place.connection.closed.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_makes_room_and_who_is_answered_stays() {
        let connections = Connections::new(clock(), IDLE_MAX);
        let mut places = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            places.push(connections.admit(None).expect("a place"));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let working: Vec<_> = places[..3].iter().map(begin).collect();
        let new = connections.admit(None).expect("somebody makes room");
        assert!(new.id.is_some());
        let closed: Vec<_> = (0..places.len()).filter(|at| is_closed(&places[*at])).collect();
        assert_eq!(closed, [3], "the first that waits for its client");
        drop(working);
        let answered = places[4..].iter().chain([&new]).map(begin).collect::<Vec<_>>();
        drop(connections.admit(None).expect("those that were answered make room"));
        assert_eq!((0..3).filter(|at| is_closed(&places[*at])).count(), 1);
        drop((answered, new, places));
        assert!(lock(&connections.table).served.is_empty(), "places are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_is_refused_and_then_no_more_are_heard() {
        let connections = Connections::new(clock(), IDLE_MAX);
        let places: Vec<_> =
            (0..CONNECTIONS_MAX).map(|_| connections.admit(None).expect("a place")).collect();
        let working: Vec<_> = places.iter().map(begin).collect();
        let away: Vec<_> =
            (0..TURNED_AWAY_MAX).map(|_| connections.admit(None).expect("an answer")).collect();
        assert!(away.iter().all(|place| place.id.is_none()));
        assert!(connections.admit(None).is_none());
        drop(away);
        assert!(
            connections.admit(None).is_some_and(|place| place.id.is_none()),
            "an answer is free again"
        );
        drop(working);
        assert!(connections.admit(None).is_some_and(|place| place.id.is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_makes_room_after_a_second_and_after_those_that_idle() {
        let connections = Connections::new(clock(), IDLE_MAX);
        let places: Vec<_> =
            (0..CONNECTIONS_MAX).map(|_| connections.admit(None).expect("a place")).collect();
        let mut working: Vec<_> = places.iter().map(begin).collect();
        places[7].connection.note(|turn| turn.bodies = 1);
        assert!(
            connections.admit(None).is_some_and(|place| place.id.is_none()),
            "it may be about to go on"
        );
        tokio::time::advance(STALLED).await;
        drop(working.remove(9));
        let first = connections.admit(None).expect("a place");
        let answered = begin(&first);
        assert!(is_closed(&places[9]) && !is_closed(&places[7]));
        assert!(connections.admit(None).is_some_and(|place| place.id.is_some()));
        assert!(is_closed(&places[7]));
        drop((working, answered));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_ends() {
        let place = Connections::new(clock(), IDLE_MAX).admit(None).expect("a place");
        let connection = place.connection.clone();
        let _answering = begin(&place);
        let (ours, mut theirs) = tokio::io::duplex(8);
        let (mut held, _) = place.hold(ours, ());
        let began = tokio::time::Instant::now();
        held.write_all(b"12345678").await.expect("there is room");
        assert!(!lock(&connection.turn).is_clients());
        let failed = held.write_all(b"9").await.expect_err("nobody reads");
        assert_eq!((failed.kind(), began.elapsed()), (io::ErrorKind::TimedOut, IDLE_MAX));
        assert!(lock(&connection.turn).is_clients());
        tokio::io::AsyncReadExt::read_u8(&mut theirs).await.expect("a byte");
        held.write_all(b"9").await.expect("there is room again");
        assert!(!lock(&connection.turn).is_clients());
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_its_share_and_makes_room_for_itself() {
        let connections = Connections::new(clock(), IDLE_MAX);
        let of = |last: u8| Some(AddressBlock::from(std::net::IpAddr::from([192, 0, 2, last])));
        let mut places: Vec<_> =
            (0..ADDRESS_MAX).map(|_| connections.admit(of(1)).expect("a place")).collect();
        let other = connections.admit(of(2)).expect("a place");
        places.push(connections.admit(of(1)).expect("the first of its own makes room"));
        assert_eq!((0..places.len()).filter(|at| is_closed(&places[*at])).collect::<Vec<_>>(), [0]);
        assert!(!is_closed(&other));
        let working: Vec<_> = places.iter().map(begin).collect();
        let away = connections.admit(of(1)).expect("an answer");
        assert!(
            away.id.is_none()
                && away.away.as_deref().is_some_and(|why| why.contains("of this address")),
            "{:?}",
            away.away
        );
        assert!(
            connections.admit(of(2)).is_some_and(|place| place.id.is_some()),
            "another address is served"
        );
        drop(working);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_next_part_nobody_fetches_closes_its_connection() {
        let place = Connections::new(clock(), IDLE_MAX).admit(None).expect("a place");
        let (read, unread) = (begin(&place), begin(&place));
        let (ours, _theirs) = tokio::io::duplex(8);
        let (mut held, _) = place.hold(ours, ());
        let began = tokio::time::Instant::now();
        let reading =
            tokio::spawn(async move { tokio::io::AsyncReadExt::read_u8(&mut held).await });
        unread.unread(true);
        read.unread(true);
        read.unread(false);
        let failed = reading.await.expect("the task ends").expect_err("it is closed");
        assert_eq!((failed.kind(), began.elapsed()), (io::ErrorKind::TimedOut, IDLE_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_of_one_connection_wait_for_its_client_when_all_do() {
        let connection = Connection::new(clock());
        let (one, two) = (Answering::new(connection.clone()), Answering::new(connection.clone()));
        let mut arriving = Arriving {
            inner: Body::from_stream(futures_util::stream::pending::<io::Result<Bytes>>()),
            connection: connection.clone(),
            idle: IDLE_MAX,
            stall: None,
        };
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(http_body::Body::poll_frame(Pin::new(&mut arriving), &mut context).is_pending());
        assert!(!lock(&connection.turn).is_clients(), "the other one is being answered");
        drop(two);
        assert!(lock(&connection.turn).is_clients());
        drop(arriving);
        assert!(!lock(&connection.turn).is_clients());
        drop(one);
        assert!(lock(&connection.turn).is_clients());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_made_room_fails_at_its_next_step() {
        let place = Connections::new(clock(), IDLE_MAX).admit(None).expect("a place");
        let closed = place.connection.closed.clone();
        let (ours, _theirs) = tokio::io::duplex(8);
        let (mut held, _) = place.hold(ours, ());
        let reading =
            tokio::spawn(async move { tokio::io::AsyncReadExt::read_u8(&mut held).await });
        tokio::task::yield_now().await;
        closed.cancel();
        let failed = reading.await.expect("the task ends").expect_err("it is closed");
        assert_eq!(failed.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_its_time_but_for_the_idle_limit() {
        let connection = Connection::new(clock());
        let parts = futures_util::stream::unfold(0, |n| async move {
            sleep(if n < 3 { IDLE_MAX - Duration::from_secs(1) } else { IDLE_MAX * 2 }).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"part")), n + 1))
        });
        let inner = Body::from_stream(parts);
        let mut body = Body::new(Arriving { inner, connection, idle: IDLE_MAX, stall: None })
            .into_data_stream();
        for _ in 0..3 {
            body.next().await.expect("a part").expect("in time");
        }
        let failed = body.next().await.expect("an error").expect_err("it stalls");
        assert_eq!(
            Stalled::behind(&failed).expect("the reason").to_string(),
            "nothing of it arrived for 30 s"
        );
    }
}
