//! What the sandbox's web container serves: the pages of docker-jitsi-meet, Prosody's two, and nginx's own.

use super::jitsi::Faults;
use super::model::HOST;

/// A page as nginx sends it.
pub(super) struct Page {
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
}

impl Page {
    fn html(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/html", body: body.into() }
    }

    fn script(body: impl Into<String>) -> Self {
        Self { status: 200, kind: "application/javascript", body: body.into() }
    }
}

/// nginx's own page for a status.
pub(super) fn nginx(status: u16, reason: &str) -> Page {
    Page::html(
        status,
        format!(
            "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
             <center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        ),
    )
}

/// The page of a web server that nobody has set up.
pub(super) fn welcome_to_nginx() -> Page {
    Page::html(
        200,
        "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n\
         <h1>Welcome to nginx!</h1>\n<p>If you see this page, the nginx web server is successfully installed and\n\
         working. Further configuration is required.</p>\n</body>\n</html>\n",
    )
}

/// Jitsi Meet's single page.
pub(super) fn app() -> Page {
    Page::html(
        200,
        "<html itemscope itemtype=\"http://schema.org/Product\" prefix=\"og: http://ogp.me/ns#\" \
         xmlns=\"http://www.w3.org/1999/html\">\n  <head>\n    <meta charset=\"utf-8\">\n    <base href=\"/\">\n\
         \x20   <title>Jitsi Meet</title>\n    <meta property=\"og:title\" content=\"Jitsi Meet\"/>\n\
         \x20   <link rel=\"stylesheet\" href=\"css/all.css?v=8922\">\n    <script src=\"config.js\"></script>\n\
         \x20   <script src=\"interface_config.js\"></script>\n\
         \x20   <script src=\"libs/lib-jitsi-meet.min.js?v=8922\"></script>\n\
         \x20   <script src=\"libs/app.bundle.min.js?v=8922\"></script>\n  </head>\n  <body>\n\
         \x20   <div id=\"react\"></div>\n  </body>\n</html>\n",
    )
}

/// `/config.js` as the container writes it: Jitsi's defaults, then one assignment for each setting.
pub(super) fn config(faults: &Faults) -> Page {
    let websocket = faults.websocket_line();
    Page::script(format!(
        "var subdomain = '<!--# echo var=\"subdomain\" default=\"\" -->';\n\
         if (subdomain.startsWith('<!--')) {{\n    subdomain = '';\n}}\n\
         if (subdomain) {{\n    subdomain = subdomain.substr(0, subdomain.length - 1).split('.').join('_')\n\
         \x20       .toLowerCase() + '.';\n}}\n\
         var subdir = '<!--# echo var=\"subdir\" default=\"\" -->';\n\
         if (subdir.startsWith('<!--')) {{\n    subdir = '';\n}}\n\n\
         var config = {{\n    hosts: {{\n        domain: 'jitsi-meet.example.com',\n\
         \x20       muc: 'conference.' + subdomain + 'jitsi-meet.example.com',\n    }},\n\
         \x20   bosh: 'https://jitsi-meet.example.com/' + subdir + 'http-bind',\n    testing: {{}},\n}};\n\n\
         // Begin default config overrides.\n\n\
         if (!config.hasOwnProperty('hosts')) config.hosts = {{}};\n\n\
         config.hosts.domain = 'meet.jitsi';\nconfig.focusUserJid = 'focus@auth.meet.jitsi';\n\
         config.hosts.muc = 'muc.' + subdomain + 'meet.jitsi';\n\
         config.bosh = 'https://{HOST}/' + subdir + 'http-bind';\n\
         {websocket}\
         config.bridgeChannel = {{\n    preferSctp: true\n}};\n"
    ))
}

pub(super) fn external_api() -> Page {
    Page::script(
        "!function(t,e){\"object\"==typeof exports&&\"object\"==typeof module?module.exports=e():\
         \"function\"==typeof define&&define.amd?define([],e):\"object\"==typeof exports?\
         exports.JitsiMeetExternalAPI=e():t.JitsiMeetExternalAPI=e()}(self,(()=>(()=>{})()));\n",
    )
}

/// Prosody's answer to somebody who comes by with a browser.
pub(super) fn bosh() -> Page {
    prosody("BOSH", "https://prosody.im/doc/setting_up_bosh")
}

pub(super) fn websocket() -> Page {
    prosody("WebSocket", "https://prosody.im/doc/websocket")
}

fn prosody(protocol: &str, more: &str) -> Page {
    Page::html(
        200,
        format!(
            "<!DOCTYPE html><html><head><title>Prosody {protocol} endpoint</title></head><body>\n\
             <h1>Prosody {protocol} endpoint</h1>\n\
             <p>It works! Now point your {protocol} client to this URL to connect to Prosody.</p>\n\
             <p>For more information see <a href=\"{more}\">Prosody: Setting up {protocol}</a>.</p>\n\
             </body></html>\n"
        ),
    )
}
