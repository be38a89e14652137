import "ids" as ids;
if .kind == "broken" then error("cannot be read: \(.kind)")
elif .kind == "other" then empty
else
  { uid: ids::uid, time: (.created | fromdate * 1000), user: { name: .user.name, is_admin: .user.admin }
  , size, v: $args.v }
end
