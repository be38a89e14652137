# The auditing configuration of a MongoDB Atlas project as one flat row in snake_case, for tables and searches.
#
# Input:   one auditing configuration (object)
# Output:  an object of the members below. A member whose value would be null is left out; only time is
#          always there.
#
#   time                          integer   milliseconds since 1970 (UTC): when it was fetched, else read
#   project_id                    string    from `$meta`, as is sequence
#   sequence                      integer   how many configurations of the project came before
#   enabled                       boolean
#   configuration_type            string    NONE | FILTER_BUILDER | FILTER_JSON
#   audit_filter                  string    JSON text, untouched
#   audit_authorization_success   boolean
#
# A member the source adds later is dropped until it is named here.

import "ocsf" as ocsf;

{
  time: ($meta.origin.fetched_at // $meta.ingested_at | ocsf::time),
  project_id: $meta.origin.partition,
  sequence: $meta.origin.sequence,
  enabled: .enabled,
  configuration_type: .configurationType,
  audit_filter: .auditFilter,
  audit_authorization_success: .auditAuthorizationSuccess
}
| ocsf::prune
