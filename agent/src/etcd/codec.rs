//! Protobuf as the codec of gRPC. Takes and gives messages of prost.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Most bytes that etcd says in one message.
pub const LIMIT: usize = 64 << 20;
/// A call is small, and there is one stream for as long as the agent runs: little is kept for it.
const BUFFER: usize = 1 << 10;

/// The codec of calls with `Q` and answers with `A`.
#[derive(Debug)]
pub struct Protobuf<Q, A>(PhantomData<(Q, A)>);

impl<Q, A> Default for Protobuf<Q, A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// One direction of it.
#[derive(Debug)]
pub struct Half<M>(PhantomData<M>);

impl<Q: Message + 'static, A: Message + Default + 'static> Codec for Protobuf<Q, A> {
    type Encode = Q;
    type Decode = A;
    type Encoder = Half<Q>;
    type Decoder = Half<A>;

    fn encoder(&mut self) -> Half<Q> {
        Half(PhantomData)
    }

    fn decoder(&mut self) -> Half<A> {
        Half(PhantomData)
    }
}

impl<M: Message> Encoder for Half<M> {
    type Item = M;
    type Error = Status;

    fn encode(&mut self, message: M, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(into).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, 32 * BUFFER)
    }
}

impl<M: Message + Default> Decoder for Half<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        M::decode(from).map(Some).map_err(|error| Status::internal(format!("no answer of etcd: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, 32 * BUFFER)
    }
}
