# A small mapping, whole: logins at a made-up VPN gateway as OCSF. docs/mapping.md tells how one gets there.
#
# Input:   {id, at, event, ok, gateway, user?, ip?, why?, …}
# Output:  Authentication (3002) for what a user did, a base event for everything else
# $args:   ocsf_version ("1.8.0" or "1.9.0")

import "ocsf" as ocsf;

def logins: { connect: ocsf::head(3002; 1), disconnect: ocsf::head(3002; 2) };

def common: {
  time: (.at | ocsf::time),
  severity_id: 1,
  severity: "Informational",
  status_detail: .why,
  metadata: {
    version: ocsf::version,
    uid: .id,
    event_code: .event,
    original_time: .at,
    product: { name: "VPN Gateway", vendor_name: "Example" }
  }
};

def login: {
  user: ocsf::user(.user; null; 1),
  src_endpoint: (.ip | ocsf::endpoint),
  dst_endpoint: (.gateway | ocsf::endpoint)
};

def rest: del(.id, .at, .event, .ok, .why);

ocsf::checked
| (if .ok then ocsf::success else ocsf::failure end) as $status
| (logins[.event] // if .user then ocsf::other(3002; .event) else null end) as $login
| if $login then
    $login + $status
      + (common + login + { unmapped: (rest | ocsf::unmapped(.user, .ip, .gateway)) } | ocsf::prune)
  else
    ocsf::other(0; .event) + $status
      + (common + { unmapped: (rest | ocsf::unmapped(empty)) } | ocsf::prune)
  end
