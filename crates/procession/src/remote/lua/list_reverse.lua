-- Turns the list round.
local all = call('LRANGE', VALUES, 0, -1)
local n = #all
if n < 2 then return {1}, false end
changed()
for i = 1, math.floor(n / 2) do all[i], all[n + 1 - i] = all[n + 1 - i], all[i] end
call('UNLINK', VALUES)
append(all, n)
return {1}
