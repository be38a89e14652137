# The auditing configuration of a MongoDB Atlas project as Cloud Resources Inventory Info of OCSF.
#
# Input:   one auditing configuration (object)
# Output:  one event of class 5023, activity 2 (Collect), with the configuration, as it is, in `resources[].data`;
#          with `compliance_finding` also one of class 2003 where `enabled` is false
# $args:   ocsf_version         "1.8.0" (default) or "1.9.0"
#          raw_data             true adds the record as text
#          compliance_finding   true: tell of projects whose auditing is off; "true" and "false" count, as for raw_data
#
# The record has neither an id nor a time. Which project it is of, when it was fetched and how many came before it
# is only known from `$meta`; where that says nothing, the time is when the record was read.

import "ocsf" as ocsf;

def product: "MongoDB Atlas";

def event($head; $project; $time; $parts):
  $head
  + $parts
  + ({
      severity_id: ($parts.severity_id // 1),
      severity: ($parts.severity // "Informational"),
      time: ($time | ocsf::time),
      metadata: ({
          version: ocsf::version,
          product: { name: product, vendor_name: "MongoDB" },
          profiles: (if $head.class_uid == 2003 then ["cloud"] else null end),
          log_name: "auditing_config",
          original_time: $time,
          sequence: $meta.origin.sequence
        } | ocsf::prune),
      cloud: ({
          provider: product,
          account: (if $project == null then null else { uid: $project, type_id: 99, type: "Project" } end)
        } | ocsf::prune),
      resources: [{ uid: $project, name: "auditing configuration", type: "auditing configuration", data: . } | ocsf::prune],
      observables: ([ocsf::observable("cloud.account.uid"; 35; $project)] | ocsf::some),
      raw_data: ocsf::raw_data
    } | ocsf::prune);

ocsf::checked
| ocsf::checked_flag("compliance_finding"; $args.compliance_finding)
| if type != "object" then error("an auditing configuration is an object, and this is \(type)") else . end
| ($meta.origin.partition | ocsf::text) as $project
| ($meta.origin.fetched_at // $meta.ingested_at) as $time
| event(
    ocsf::head(5023; 2) + ocsf::success; $project; $time;
    { message: "Database auditing is \({ "true": "on", "false": "off" }["\(.enabled)"] // "neither on nor off")" }
  ),
  if ocsf::flag($args.compliance_finding) and .enabled == false then
    event(
      ocsf::head(2003; 1); $project; $time;
      {
        severity_id: 3,
        severity: "Medium",
        status_id: 1,
        status: "New",
        message: "Database auditing is off",
        finding_info: ({
            uid: "mongodb_atlas/auditing_config/\($project // "unknown")",
            title: "Database auditing is off",
            desc: "The project does not record who does what in its databases.",
            created_time: ($time | ocsf::time)
          }),
        compliance: {
          control: "Database auditing is on",
          status_id: 3,
          status: "Fail",
          status_details: ["enabled is false"]
        },
        remediation: { desc: "Turn database auditing on in the project's advanced security settings, or by its API." }
      }
    )
  else empty
  end
