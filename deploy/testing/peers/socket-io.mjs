// Rooms over Socket.IO, as its documentation has them.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false });
io.on('connection', (socket) => {
  socket.on('join', (room) => {
    socket.data.room = room;
    socket.join(room);
    socket.emit('joined');
  });
  socket.on('message', (message) => io.to(socket.data.room).emit('message', message));
});
http.listen(0, '127.0.0.1', () => console.log(`ws://127.0.0.1:${http.address().port}`));
