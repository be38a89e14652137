# A MongoDB Atlas database access record in an OSCF envelope. Nothing of it is changed or dropped.
#
# Input:   one database access record (object), or an array of them, which makes one envelope of all
# Output:  {metadata: {schema_version, custom_framework}, controls: [record, ...]}
# $args:   schema_version (default "1.0.0"), custom_framework (default "jaquard")

import "oscf" as oscf;

oscf::envelope(
  $args.schema_version // "1.0.0";
  $args.custom_framework // "jaquard";
  oscf::records
)
