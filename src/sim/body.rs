//! Response bodies that can misbehave: what is sent, what waits, and where does it break?

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// One step of a body.
#[derive(Debug)]
pub(super) enum Step {
    Send(Bytes),
    /// What was sent so far leaves the machine before anything else happens.
    Flush,
    Wait(Duration),
    /// Nothing more comes, but the connection stays.
    Hang,
    /// The connection ends here, whatever the head promised.
    Break,
}

/// Why a body ended too early: on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the script breaks the connection here")]
pub(super) struct Broken;

/// A body made of steps. Most are a single piece of known length.
#[derive(Debug)]
pub(super) struct Body {
    steps: VecDeque<Step>,
    /// Whether the steps are one piece whose length hyper may announce.
    whole: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Ends waiting and hanging when the server stops.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Body {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { steps: VecDeque::from([Step::Send(bytes)]), whole: true, sleep: None, stop: None }
    }

    pub(super) fn steps(steps: impl IntoIterator<Item = Step>, stop: CancellationToken) -> Self {
        Self { steps: steps.into_iter().collect(), whole: false, sleep: None, stop: Some(Box::pin(stop.cancelled_owned())) }
    }

    /// Whether the server stops; registers to hear of it.
    fn stopping(&mut self, context: &mut Context<'_>) -> bool {
        self.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(context).is_ready())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(sleep) = &mut this.sleep {
            // A server that stops does not keep anyone waiting: the rest goes out at once.
            if sleep.as_mut().poll(context).is_pending() && !this.stopping(context) {
                return Poll::Pending;
            }
            this.sleep = None;
        }
        match this.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Send(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // hyper flushes what it has when a body is not ready.
            Some(Step::Flush) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Wait(time)) => {
                this.sleep = Some(Box::pin(tokio::time::sleep(time)));
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Hang) => {
                this.steps.push_front(Step::Hang);
                if this.stopping(context) { Poll::Ready(Some(Err(Broken))) } else { Poll::Pending }
            }
            Some(Step::Break) => Poll::Ready(Some(Err(Broken))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.sleep.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.steps.front() {
            Some(Step::Send(bytes)) if self.whole => SizeHint::with_exact(bytes.len() as u64),
            None => SizeHint::with_exact(0),
            Some(_) => SizeHint::default(),
        }
    }
}
