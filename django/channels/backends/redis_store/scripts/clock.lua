-- Return the server's time in ms.
return now
