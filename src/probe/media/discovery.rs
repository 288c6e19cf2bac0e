//! The deployment's own words about its names: `GET /config.js`.

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::domain::finding::{Code, Finding};
use crate::probe::config_js::{self, Deployment, SIZE_LIMIT};
use crate::probe::xmpp::tls::Door;

/// Fetches and reads `config.js`.
pub async fn discover(door: &Door<'_>) -> Result<Deployment, Finding> {
    let (status, script) = get(door, "/config.js").await?;
    let unreadable = |why: String| Finding::new(Code::ConfigUnreadable).detail(why);
    if status != 200 {
        return Err(unreadable(format!("HTTP {status}")));
    }
    config_js::read(&script).map_err(|error| unreadable(error.to_string()))
}

async fn get(door: &Door<'_>, path: &str) -> Result<(u16, String), Finding> {
    let stream = TokioIo::new(door.enter().await?);
    let bad = |error: String| Finding::new(Code::ConfigUnreadable).detail(error);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(|error| bad(error.to_string()))?;
    let request = Request::get(path)
        .header("host", door.host.to_string())
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| bad(error.to_string()))?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(|error| bad(error.to_string()))?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        // Copied out: a chunk of one byte would keep a whole buffer alive.
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| bad(error.to_string()))?;
            whole.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            if whole.len() > SIZE_LIMIT {
                return Err(bad(format!("more than {} MiB", SIZE_LIMIT >> 20)));
            }
        }
        Ok((status, String::from_utf8_lossy(&whole).into_owned()))
    };
    let mut connection = std::pin::pin!(connection);
    let mut asking = std::pin::pin!(asking);
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        // The connection may end as soon as the whole answer is there.
        _ = &mut connection => asking.await,
    }
}
