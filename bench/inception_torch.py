# The FID Inception network in PyTorch, batch norms apart, as it is published: how many images a second. Untrained weights; only the time counts.
# Usage: python3 bench/inception_torch.py [rounds]
import torch,time,sys
import torch.nn.functional as F
from torch import nn
class C(nn.Module):
    def __init__(s,i,o,k,st=1,p=0):
        super().__init__(); s.c=nn.Conv2d(i,o,k,st,p,bias=False); s.b=nn.BatchNorm2d(o,eps=.001)
    def forward(s,x): return F.relu(s.b(s.c(x)),inplace=True)
def S(*a): return nn.Sequential(*a)
class A(nn.Module):
    def __init__(s,i,p):
        super().__init__(); s.a=C(i,64,1); s.b=S(C(i,48,1),C(48,64,5,1,2)); s.c=S(C(i,64,1),C(64,96,3,1,1),C(96,96,3,1,1)); s.p=C(i,p,1)
    def forward(s,x): return torch.cat([s.a(x),s.b(x),s.c(x),s.p(F.avg_pool2d(x,3,1,1,count_include_pad=False))],1)
class B(nn.Module):
    def __init__(s):
        super().__init__(); s.a=C(288,384,3,2); s.b=S(C(288,64,1),C(64,96,3,1,1),C(96,96,3,2))
    def forward(s,x): return torch.cat([s.a(x),s.b(x),F.max_pool2d(x,3,2)],1)
class L(nn.Module):
    def __init__(s,w):
        super().__init__(); s.a=C(768,192,1); s.b=S(C(768,w,1),C(w,w,(1,7),1,(0,3)),C(w,192,(7,1),1,(3,0)))
        s.c=S(C(768,w,1),C(w,w,(7,1),1,(3,0)),C(w,w,(1,7),1,(0,3)),C(w,w,(7,1),1,(3,0)),C(w,192,(1,7),1,(0,3))); s.p=C(768,192,1)
    def forward(s,x): return torch.cat([s.a(x),s.b(x),s.c(x),s.p(F.avg_pool2d(x,3,1,1,count_include_pad=False))],1)
class D(nn.Module):
    def __init__(s):
        super().__init__(); s.a=S(C(768,192,1),C(192,320,3,2)); s.b=S(C(768,192,1),C(192,192,(1,7),1,(0,3)),C(192,192,(7,1),1,(3,0)),C(192,192,3,2))
    def forward(s,x): return torch.cat([s.a(x),s.b(x),F.max_pool2d(x,3,2)],1)
class E(nn.Module):
    def __init__(s,i,m):
        super().__init__(); s.a=C(i,320,1); s.b=C(i,384,1); s.b1=C(384,384,(1,3),1,(0,1)); s.b2=C(384,384,(3,1),1,(1,0))
        s.c=S(C(i,448,1),C(448,384,3,1,1)); s.c1=C(384,384,(1,3),1,(0,1)); s.c2=C(384,384,(3,1),1,(1,0)); s.p=C(i,192,1); s.m=m
    def forward(s,x):
        b=s.b(x); c=s.c(x); p=F.max_pool2d(x,3,1,1) if s.m else F.avg_pool2d(x,3,1,1,count_include_pad=False)
        return torch.cat([s.a(x),s.b1(b),s.b2(b),s.c1(c),s.c2(c),s.p(p)],1)
net=S(C(3,32,3,2),C(32,32,3),C(32,64,3,1,1),nn.MaxPool2d(3,2),C(64,80,1),C(80,192,3),nn.MaxPool2d(3,2),
      A(192,32),A(256,64),A(288,64),B(),L(128),L(160),L(160),L(192),D(),E(1280,False),E(2048,True)).eval()
x=torch.rand(8,3,299,299)*2-1
with torch.no_grad():
    best=9e9
    for r in range(int(sys.argv[1]) if len(sys.argv) > 1 else 6):
        t=time.time(); net(x).mean((2,3)); best=min(best,time.time()-t)
print('pytorch',torch.__version__,'threads',torch.get_num_threads(),'%.2f img/s'%(8/best))
