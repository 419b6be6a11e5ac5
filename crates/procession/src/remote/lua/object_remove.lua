-- Removes an object with all its parts. A: its name. Returns whether it was there. Where pools meet workers stays.
if call('HGET', K[1], 'kind') == 'pools' then return {0}, false end
local parts = call('HGET', K[1], 'parts')
call('ZREM', prefix .. ':names', A[1])
if not parts then return {0}, false end
for part in string.gmatch(parts, '[^,]+') do call('UNLINK', K[1] .. ':' .. part) end
call('UNLINK', K[1])
return {1}
