# The auditing configuration of a MongoDB Atlas project in an OSCF envelope. The configuration itself is
# not changed; which project it is of, when it was fetched and how many came before it is only known from
# `$meta`, and stands beside it.
#
# Input:   one auditing configuration (object), or an array of them, which makes one envelope of all
# Output:  {metadata: {schema_version, custom_framework}, controls: [{project, fetched_at, sequence, configuration}]}
# $args:   schema_version (default "1.0.0"), custom_framework (default "jaquard")

import "oscf" as oscf;

oscf::envelope(
  $args.schema_version // "1.0.0";
  $args.custom_framework // "jaquard";
  oscf::records
    | map({
        project: $meta.origin.partition,
        fetched_at: $meta.origin.fetched_at,
        sequence: $meta.origin.sequence,
        configuration: .
      })
)
