//! Names of subscriptions: `0x` and 32 hexadecimal digits, as go-ethereum makes them. web3.py and viem take no numbers.

use jsonrpsee::{
    ConnectionId, MethodCallback, MethodSink, RpcModule,
    core::traits::IdProvider,
    server::BoundedSubscriptions,
    types::{Params, Request, SubscriptionId},
};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// Makes the names. They are random, so that nobody ends another's subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#034x}", rand::random::<u128>()).into())
    }
}

/// [`RpcModule::raw_json_request`], which gives every subscription a number.
///
/// # Errors
/// When the text is no request.
pub(crate) async fn request(
    methods: &RpcModule<()>,
    text: &str,
    messages_max: usize,
) -> Result<(Box<RawValue>, mpsc::Receiver<Box<RawValue>>), serde_json::Error> {
    let request: Request<'_> = serde_json::from_str(text)?;
    let Some(MethodCallback::Subscription(subscribe)) = methods.method(&request.method) else {
        return methods.raw_json_request(text, messages_max).await;
    };
    let (sender, mut messages) = mpsc::channel(messages_max);
    let permit = BoundedSubscriptions::new(1).acquire().expect("the one permit is free");
    let state = jsonrpsee::core::server::SubscriptionState {
        conn_id: ConnectionId(0),
        id_provider: &HexIds,
        subscription_permit: permit,
    };
    let params = Params::new(request.params.as_ref().map(|params| params.get()));
    let extensions = jsonrpsee::Extensions::new();
    let answer = subscribe(request.id, params, MethodSink::new(sender), state, extensions).await;
    // The answer is among the messages too.
    messages.recv().await;
    let is_success = answer.is_success();
    let (answer, accepted, _) = answer.into_parts();
    if let Some(accepted) = accepted {
        accepted.notify(is_success);
    }
    Ok((answer, messages))
}
