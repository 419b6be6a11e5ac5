-- Who only looks keeps no message from who would take it: if he was woken for it, the next one is.
local function seen_by(waiter)
  if waiter ~= '' and call('ZREM', K[3], (string.match(waiter, '^[^@]*'))) == 0 then ring(K[3], 1) end
end
