# A MongoDB Atlas database access record as one flat row in snake_case, for tables and searches.
#
# Input:   one record (object). Without a readable `timestamp` the event fails: a row that
#          cannot be placed in time would be lost unseen.
# Output:  an object of the members below. A member whose value would be null is left out; only time is
#          always there.
#
#   time             integer   milliseconds since 1970 (UTC), of `timestamp`: whole seconds
#   success          boolean
#   username         string    also a distinguished name
#   auth_source      string    the database, or $external
#   failure_reason   string
#   project_id, cluster        string
#   host             string    name or address of the node, without its port
#   port             integer   of the node
#   source_ip        string    IPv4 or IPv6
#   log_line         string    the server's own line, untouched: it has milliseconds, mechanism and port
#
# A member the source adds later is dropped until it is named here.

import "ocsf" as ocsf;

# `Sun Jul 25 9:14:42 EDT 2019`, or RFC 3339.
def epoch_ms:
  if type == "string" and .[4:5] != "-" then parse_time(["%a %b %d %H:%M:%S %Z %Y"]) else ocsf::time end;

# What is no host with a port is a host as it is.
def node: . as $text | if type == "string" then try split_port catch { host: $text } else { host: . } end;

(.hostname | node) as $node
| {
    time: (.timestamp | epoch_ms),
    success: .authResult,
    username: .username,
    auth_source: .authSource,
    failure_reason: .failureReason,
    project_id: .groupId,
    cluster: .clusterName,
    host: $node.host,
    port: $node.port,
    source_ip: .ipAddress,
    log_line: .logLine
  }
| ocsf::prune
