# An audit event of an Atlassian organisation in an OSCF envelope. Nothing of it is changed or dropped.
#
# Input:   one event of the stream (object), or an array of them, which makes one envelope of all
# Output:  {metadata: {schema_version, custom_framework}, controls: [event, ...]}
# $args:   schema_version (default "1.0.0"), custom_framework (default "jaquard")

import "oscf" as oscf;

oscf::envelope(
  $args.schema_version // "1.0.0";
  $args.custom_framework // "jaquard";
  oscf::records
)
