-- Removes all entries.
if call('HLEN', ENTRIES) == 0 then return {0}, false end
call('UNLINK', ENTRIES, ORDER, ODD)
call('HINCRBY', META, 'shape', 1)
return {1}
