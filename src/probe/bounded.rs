//! A stream that gives no more than so many bytes in all.
//!
//! Invariant: whatever is built upon it (packets, TLS records) can read no more than the bound;
//! past it every read is an error of kind [`ErrorKind::FileTooLarge`], which nothing else here
//! raises. Writing is not bounded: we decide what we write.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with its bound.
pub struct Bounded<S> {
    inner: S,
    left: usize,
}

impl<S> Bounded<S> {
    /// `inner`, of which `most` bytes can be read.
    pub fn new(inner: S, most: usize) -> Self {
        Self { inner, left: most }
    }
}

/// Whether a read failed because the bound was reached.
pub fn is_over(error: &Error) -> bool {
    error.kind() == ErrorKind::FileTooLarge
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(Error::new(
                ErrorKind::FileTooLarge,
                "more bytes came than a probe reads",
            )));
        }
        let most = self.left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        self.left -= read;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, repeat};

    use super::*;

    #[tokio::test]
    async fn no_more_than_the_bound_is_read() {
        let mut endless = Bounded::new(repeat(7), 1000);
        let mut read = Vec::new();
        let error = endless.read_to_end(&mut read).await.expect_err("the bound");
        assert!(is_over(&error));
        assert_eq!(read, vec![7; 1000]);
    }

    #[tokio::test]
    async fn what_is_short_of_it_comes_through_whole() {
        let mut short = Bounded::new(&b"greeting"[..], 1000);
        let mut read = Vec::new();
        short.read_to_end(&mut read).await.expect("all of it");
        assert_eq!(read, b"greeting");
    }
}
