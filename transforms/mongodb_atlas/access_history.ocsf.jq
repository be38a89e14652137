# A MongoDB Atlas database access record (an attempt to log in to a node of a cluster) as Authentication of OCSF.
#
# Input:   one record (object). Without a time that can be read, in `logLine` or else in `timestamp`, it fails.
# Output:  one event of class 3002, activity 1 (Logon). `raw_data` is the server's own line, `logLine`.
# $args:   ocsf_version   "1.8.0" (default) or "1.9.0"
#          raw_data       true: `raw_data` is the whole record as text instead
#
# The line knows more than the record: milliseconds, the port, the mechanism. It comes as JSON (MongoDB 4.4 and
# later) or as text, and contains what a client chose to call itself. So nothing is searched for in it: JSON is
# parsed, and text is taken apart from its beginning, past the very user name that the record has. A line that is
# anything else tells nothing, and is kept.

import "ocsf" as ocsf;

# An attribute that has a place elsewhere if it is text, and stays where it was if it is anything else.
def left: if ocsf::is_text then null else . end;

# What a line may be to be taken apart. A server cuts what it writes at about 10 kB.
def longest: 16384;

def mechanism: if type == "string" and test("^[A-Z0-9-]{1,40}$") then . else null end;

# Milliseconds of a time as servers write it.
def stamp: try ocsf::time catch null;

# The port, if the text is an address with a port and the address is that of the record: what a client says of
# where it comes from must not change where it came from.
def port_of($ip):
  if ocsf::is_text then
    try (split_port | if (.host | ip_normalize) == ($ip | ip_normalize) then .port else null end) catch null
  else null
  end;

# A line in JSON.
def from_json($ip):
  (if length <= longest then try fromjson catch null else null end)
  | if type == "object" and .c == "ACCESS" and (.attr | type) == "object" and (.t | type) == "object" then
      {
        time: (.t["$date"] | stamp),
        mechanism: (.attr.mechanism | mechanism),
        port: (.attr | .client // .remote | port_of($ip)),
        message: (.msg | ocsf::text)
      }
    else {}
    end;

# What follows `who on database from client `, up to a blank. Empty if the text goes on otherwise.
def client($user; $database):
  "\($user) on \($database) from client " as $before
  | if startswith($before) then .[($before | length):] | split(" ")[0] else null end;

def opening:
  "^(?<at>\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}(?:Z|[+-]\\d{4})) [A-Z]\\d? +ACCESS +\\[[A-Za-z]+\\d*\\] "
  + "(?<what>Successfully authenticated as principal "
  + "|SASL (?<mechanism>[A-Z0-9-]{1,40}) authentication failed for )";

# A line of text: time, severity, component, connection, and what happened.
def from_text($ip; $user; $database):
  (first(.[:200] | capture(opening)) // null) as $start
  | if $start == null then {}
    else
      {
        time: ($start.at | stamp),
        mechanism: $start.mechanism,
        port: (.[:4096] | .[(index($start.what) + ($start.what | length)):] | client($user; $database) | port_of($ip))
      }
    end;

# What a line tells of a record.
def line($ip; $user; $database):
  if type != "string" then {}
  elif startswith("{") then from_json($ip)
  else from_text($ip; $user; $database)
  end;

# The record's own time: `Sun Jul 25 9:14:42 EDT 2019`, with any zone abbreviation, whatever the weekday says, or
# RFC 3339.
def timestamp:
  if type == "string" and .[4:5] != "-" then parse_time(["%a %b %d %H:%M:%S %Z %Y"]) else ocsf::time end;

# Protocols that OCSF has a number for. SCRAM, X.509 and AWS are told by their name.
def protocols: {
  GSSAPI: { auth_protocol_id: 2, auth_protocol: "Kerberos" },
  PLAIN: { auth_protocol_id: 12, auth_protocol: "LDAP" },
  "MONGODB-OIDC": { auth_protocol_id: 4, auth_protocol: "OpenID" }
};
def protocol:
  if . == null then { auth_protocol_id: 0, auth_protocol: "Unknown" }
  else protocols[.] // { auth_protocol_id: 99, auth_protocol: . }
  end;

# The node: a host name or an address, with a port or without.
def node:
  if ocsf::is_text then
    . as $text
    | (if is_ip then { host: $text } else try split_port catch { host: $text } end)
    | if .host | is_ip then { ip: .host, port: .port } else { hostname: .host, port: .port } end
    | ocsf::prune
  else null
  end;
# Whether the node says all that the text says.
def is_node: . as $text | node | (.ip // .hostname) + (if .port == null then "" else ":\(.port)" end) == $text;

# A distinguished name, as X.509 and LDAP have for users.
def is_dn: test("^[A-Za-z][A-Za-z0-9.-]* ?=");

ocsf::checked
| (. as $record | .logLine | line($record.ipAddress; $record.username; $record.authSource)) as $line
| (.ipAddress | ocsf::endpoint) as $source
| (.hostname | node) as $node
| (if .username | ocsf::is_text then
    { name: .username, domain: (.authSource | ocsf::text),
      ldap_person: (if .authSource == "$external" and (.username | is_dn) then { ldap_dn: .username } else null end) }
    | ocsf::prune | . + ocsf::user_type(1)
  else { name: "unknown", domain: (.authSource | ocsf::text) } | ocsf::prune | . + ocsf::user_type(0)
  end) as $user
| ocsf::head(3002; 1)
  + { severity_id: 1, severity: "Informational" }
  + (if .authResult == true then ocsf::success
     elif .authResult == false then ocsf::failure
     else { status_id: 0, status: "Unknown" }
     end)
  + ($line.mechanism | protocol)
  + ({
      time: ($line.time // (.timestamp | timestamp)),
      message: $line.message,
      status_detail: (.failureReason | ocsf::text),
      user: $user,
      service: { name: (.clusterName | ocsf::text // "MongoDB") },
      dst_endpoint: $node,
      src_endpoint: (if $source == null then null
        else $source + ({ port: ($source.port // $line.port) } | ocsf::prune)
        end),
      is_remote: true,
      logon_type_id: 3,
      logon_type: "Network",
      metadata: ({
          version: ocsf::version,
          product: { name: "MongoDB Atlas", vendor_name: "MongoDB" },
          profiles: ["cloud"],
          log_name: "access_history",
          original_time: (.timestamp | ocsf::text)
        } | ocsf::prune),
      cloud: ({
          provider: "MongoDB Atlas",
          account: (if .groupId | ocsf::is_text then { uid: .groupId, type_id: 99, type: "Project" } else null end)
        } | ocsf::prune),
      observables: ([
          ocsf::observable("user.name"; 4; .username | ocsf::text),
          ocsf::observable("src_endpoint.ip"; 2; $source.ip),
          ocsf::observable("dst_endpoint.hostname"; 1; $node.hostname)
        ] | ocsf::some),
      raw_data: (ocsf::raw_data // (.logLine | ocsf::text)),
      unmapped: (del(.authResult, .authSource, .clusterName, .failureReason, .groupId, .hostname, .ipAddress, .logLine,
            .timestamp, .username)
          + {
              authResult: (.authResult | if type == "boolean" then null else . end),
              authSource: (.authSource | left),
              clusterName: (.clusterName | left),
              failureReason: (.failureReason | left),
              groupId: (.groupId | left),
              hostname: (.hostname | if ocsf::is_text and is_node then null else . end),
              ipAddress: (.ipAddress | if ocsf::is_endpoint then null else . end),
              logLine: (.logLine | left),
              timestamp: (.timestamp | left),
              username: (.username | left),
              mechanism: (if protocols[$line.mechanism // ""] == null then null else $line.mechanism end)
            }
          | ocsf::prune_all)
    } | ocsf::prune)
