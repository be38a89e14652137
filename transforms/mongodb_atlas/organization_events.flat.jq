# A MongoDB Atlas organisation event as one flat row in snake_case, for tables and searches.
#
# Input:   one organisation event (object). Without a readable `created` or an `eventTypeName`
#          the event fails: a row that cannot be placed in time would be lost unseen.
# Output:  an object of the members below. A member whose value would be null is left out;
#          only time, event_type, category and actor_type are always there.
#
#   time                 integer   milliseconds since 1970 (UTC)
#   event_id             string
#   event_type           string    as the source names it
#   category             string    account | api_key | team | federation | network | billing |
#                                  alert | database_user | settings | data | cluster | backup | other
#   severity             string    as in raw
#   description          string    as in raw
#   actor_type           string    user | api_key | service_account | unknown
#   actor_id, actor_name           string
#   api_key_id, public_key         string    the key used, also where a user is named beside it
#   delegate_id, delegate_name     string    an application that acted for the actor
#   on_behalf_of_id, on_behalf_of_name   string
#   is_mongodb_employee  boolean
#   source_ip            string    IPv4 or IPv6, as the source has it
#   org_id, project_id   string
#   target               string    what the event was done to: the most telling name or id
#   target_username, target_public_key, database_username   string
#   team_id, access_list_entry, invoice_id, payment_id, alert_id, alert_config_id,
#   resource_type, resource_id, resource_policy_id   string
#   metric_name          string
#   metric_value         number    with metric_units (string)
#   raw                  object    untouched
#   rest                 object    members that have no column: what the source adds later
#
# Only `raw` and `rest` are not flat. Dropped on purpose: `links`, the event's own address in the API, which its
# id tells as well.

import "ocsf" as ocsf;
import "atlas_flat" as atlas;

atlas::common + ({ raw: (.raw | ocsf::some), rest: (atlas::without_common | ocsf::some) } | ocsf::prune)
