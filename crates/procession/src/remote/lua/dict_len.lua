return {call('HLEN', ENTRIES)}, false, false
