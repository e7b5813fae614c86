//! `bench bare-sip LISTEN AGENT`: the SIP stack that the gateway is built on, with nothing around it. It answers, calls,
//! relays and refers as the gateway does, but knows no conversation, no log, no sound and no rule.
//!
//! What is called decides: `answer` waits for the BYE; `agent` calls AGENT and joins the dialogs; `refer` asks the caller to
//! go elsewhere, and calls AGENT if it will not.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rsipstack::EndpointBuilder;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Method, StatusCode, Uri};
use rsipstack::transaction::endpoint::EndpointOption;
use rsipstack::transaction::{CallIdFormat, Transaction};
use rsipstack::transport::TransportLayer;
use rsipstack::transport::udp::UdpConnection;
use tokio_util::sync::CancellationToken;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 101\r\n\
                   a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

struct Bare {
    layer: Arc<DialogLayer>,
    contact: Uri,
    agent: Uri,
}

/// Serves until it is killed.
pub async fn serve(listen: SocketAddr, agent: &str) -> Result<()> {
    let stop = CancellationToken::new();
    let transports = TransportLayer::new(stop.child_token());
    let udp = UdpConnection::create_connection(listen, None, Some(stop.child_token())).await?;
    transports.add_transport(udp.into());
    let option = EndpointOption { callid_format: CallIdFormat::Uuid, ..EndpointOption::default() };
    let endpoint = EndpointBuilder::new()
        .with_user_agent("Bare")
        .with_option(option)
        .with_cancel_token(stop)
        .with_transport_layer(transports)
        .build();
    let (inner, mut incoming) = (endpoint.inner.clone(), endpoint.incoming_transactions()?);
    let bare = Arc::new(Bare {
        layer: Arc::new(DialogLayer::new(inner.clone())),
        contact: Uri::try_from(format!("sip:bare@{listen}"))?,
        agent: Uri::try_from(agent)?,
    });
    tokio::spawn(async move { inner.serve().await });
    println!("ready");
    while let Some(transaction) = incoming.recv().await {
        bare.sort(transaction);
    }
    Ok(())
}

impl Bare {
    fn sort(self: &Arc<Self>, mut transaction: Transaction) {
        if let Some(mut dialog) = self.layer.match_dialog(&transaction) {
            tokio::spawn(async move { dialog.handle(&mut transaction).await });
            return;
        }
        match transaction.original.method {
            Method::Invite => {
                let bare = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = bare.invited(transaction).await {
                        println!("{error:#}");
                    }
                });
            }
            Method::Ack => {}
            _ => {
                tokio::spawn(async move {
                    let _ = transaction.reply(StatusCode::CallTransactionDoesNotExist).await;
                });
            }
        }
    }

    async fn invited(self: Arc<Self>, mut transaction: Transaction) -> Result<()> {
        let dialled = transaction.original.uri.user().unwrap_or_default().to_owned();
        let (sender, mut states) = self.layer.new_dialog_state_channel();
        let contact = Some(self.contact.clone());
        let caller = self.layer.get_or_create_server_invite(&transaction, sender, None, contact)?;
        let mut handling = caller.clone();
        tokio::spawn(async move { handling.handle(&mut transaction).await });
        caller.accept(Some(vec![sdp()]), Some(SDP.into()))?;
        let goes_on = match dialled.as_str() {
            "agent" => true,
            "refer" => up(&mut states).await && refer(&caller, &mut states).await?,
            _ => false,
        };
        if goes_on {
            self.joined(&caller, &mut states).await?;
        } else {
            over(&mut states).await;
        }
        self.layer.remove_dialog(&caller.id());
        Ok(())
    }

    /// Calls the agent; whoever hangs up first, the other is hung up on.
    async fn joined(&self, caller: &InviteDialog, states: &mut DialogStateReceiver) -> Result<()> {
        let (sender, mut theirs) = self.layer.new_dialog_state_channel();
        let option = InviteOption {
            caller: self.contact.clone(),
            callee: self.agent.clone(),
            offer: Some(SDP.into()),
            contact: self.contact.clone(),
            headers: Some(vec![Header::Other("X-Conversation-Id".into(), "none".into())]),
            ..InviteOption::default()
        };
        let (agent, answer) = self.layer.do_invite_async(option, sender)?;
        let (_, response) = answer.await??;
        let code = response.context("no response")?.status_code.code();
        if code / 100 == 2 {
            tokio::select! {
                () = over(states) => agent.bye().await?,
                () = over(&mut theirs) => {}
            }
        }
        caller.bye().await?;
        self.layer.remove_dialog(&agent.id());
        Ok(())
    }
}

/// Waits for the ACK. False: the caller left.
async fn up(states: &mut DialogStateReceiver) -> bool {
    while let Some(state) = states.recv().await {
        match state {
            DialogState::Confirmed(..) => return true,
            DialogState::Terminated(..) => return false,
            _ => {}
        }
    }
    false
}

async fn over(states: &mut DialogStateReceiver) {
    while let Some(state) = states.recv().await {
        if matches!(state, DialogState::Terminated(..)) {
            return;
        }
    }
}

/// Asks the caller to go elsewhere. False: it does, and was hung up on. True: it will not.
async fn refer(caller: &InviteDialog, states: &mut DialogStateReceiver) -> Result<bool> {
    let headers = vec![
        Header::ReferTo("<sip:desk@127.0.0.1>".into()),
        Header::ReferredBy("<sip:bare@127.0.0.1>".into()),
    ];
    let asked = caller.request(Method::Refer, Some(headers), None).await?;
    if asked.is_none_or(|response| response.status_code.code() / 100 != 2) {
        return Ok(true);
    }
    while let Some(state) = states.recv().await {
        match state {
            DialogState::Notify(_, request, handle) => {
                handle.reply(StatusCode::OK).await?;
                if request.body.starts_with(b"SIP/2.0 200") {
                    break;
                }
            }
            DialogState::Terminated(..) => return Ok(false),
            _ => {}
        }
    }
    // The stack sends nothing before the NOTIFY is answered.
    while let Some(state) = states.recv().await {
        if matches!(state, DialogState::Confirmed(..)) {
            break;
        }
    }
    caller.bye().await?;
    Ok(false)
}

fn sdp() -> Header {
    Header::ContentType("application/sdp".into())
}
