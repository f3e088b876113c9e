// Rooms over `ws`, as its documentation broadcasts: the path names the room, each text is given to everybody in it.
import { WebSocketServer } from 'ws';

const rooms = new Map();
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('listening', () => console.log(`ws://127.0.0.1:${server.address().port}`));
server.on('connection', (socket, request) => {
  const members = rooms.get(request.url) ?? new Set();
  rooms.set(request.url, members.add(socket));
  socket.on('message', (text) => {
    for (const member of members) member.send(text, { binary: false });
  });
  socket.on('close', () => members.delete(socket));
  socket.on('error', () => socket.terminate());
});
